//! The tables, and how their rows are written and read.

use std::sync::OnceLock;

use ::masking::{Interaction, Participant, PoolNumber, Service, Session, Settings, Status, pair};

use crate::Result;
use crate::row::Row;
use crate::sql::{Arg, Table, args};

macro_rules! table {
    ($name:literal: $($column:literal)+) => {
        Table {
            name: $name,
            counted: false,
            columns: &[$($column),+],
            insert_once: OnceLock::new(),
        }
    };
}

pub(super) static SERVICES: Table =
    table!("mask_services": "sid" "account" "name" "settings" "created" "updated");
pub(super) static NUMBERS: Table = table!("mask_numbers":
    "sid" "account" "service" "phone_number" "is_reserved" "created" "updated");
pub(super) static SESSIONS: Table = table!("mask_sessions":
    "sid" "account" "service" "name" "status" "mode" "ttl_s" "expiry" "interactions" "started"
    "last" "ended" "reason" "expires" "created" "updated");
pub(super) static PARTICIPANTS: Table = table!("mask_participants":
    "sid" "account" "service" "session" "phone_number" "name" "mask" "mask_number" "pin" "pair"
    "created" "updated");
pub(super) static INTERACTIONS: Table = table!("mask_interactions":
    "sid" "account" "service" "session" "kind" "source" "target" "inbound" "inbound_status"
    "outbound" "outbound_status" "state" "duration_s" "created" "updated" "ended");

pub(super) fn service_args(service: &Service) -> Vec<Arg> {
    // It has no map whose keys are not texts, so it can always be written.
    let settings = serde_json::to_string(&service.settings).unwrap_or_default();
    args![
        service.sid,
        service.account,
        service.name.as_str(),
        settings,
        service.created,
        service.updated
    ]
}

pub(super) fn read_service(row: &Row) -> Result<Service> {
    let settings: Settings = serde_json::from_str(&row.text("settings")?).unwrap_or_default();
    Ok(Service {
        sid: row.word("sid")?,
        account: row.word("account")?,
        name: row.text("name")?,
        settings,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(super) fn number_args(number: &PoolNumber) -> Vec<Arg> {
    args![
        number.sid,
        number.account,
        number.service,
        number.phone_number.as_str(),
        number.is_reserved,
        number.created,
        number.updated
    ]
}

pub(super) fn read_number(row: &Row) -> Result<PoolNumber> {
    Ok(PoolNumber {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        phone_number: row.text("phone_number")?,
        is_reserved: row.flag("is_reserved")?,
        in_use: 0,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(super) fn session_args(session: &Session) -> Vec<Arg> {
    let is_open = session.status != Status::Closed;
    args![
        session.sid,
        session.account,
        session.service,
        session.name.clone(),
        session.status.as_str(),
        session.mode.as_str(),
        session.ttl_s,
        session.expiry,
        session.interactions,
        session.started,
        session.last,
        session.ended,
        session.reason.clone(),
        session.expires().filter(|_| is_open),
        session.created,
        session.updated
    ]
}

pub(super) fn read_session(row: &Row) -> Result<Session> {
    Ok(Session {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        name: row.opt_text("name")?,
        status: row.word("status")?,
        mode: row.word("mode")?,
        ttl_s: row.int("ttl_s")?,
        expiry: row.opt_time("expiry")?,
        interactions: row.int("interactions")?,
        started: row.opt_time("started")?,
        last: row.opt_time("last")?,
        ended: row.opt_time("ended")?,
        reason: row.opt_text("reason")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// The row of a participant of an open session.
pub(super) fn participant_args(participant: &Participant) -> Vec<Arg> {
    args![
        participant.sid,
        participant.account,
        participant.service,
        participant.session,
        participant.number.as_str(),
        participant.name.as_str(),
        participant.mask,
        participant.mask_number.as_str(),
        participant.pin.as_str(),
        pair(participant.mask, &participant.number),
        participant.created,
        participant.updated
    ]
}

pub(super) fn read_participant(row: &Row) -> Result<Participant> {
    Ok(Participant {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        session: row.word("session")?,
        number: row.text("phone_number")?,
        name: row.text("name")?,
        mask: row.word("mask")?,
        mask_number: row.text("mask_number")?,
        pin: row.text("pin")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(super) fn interaction_args(one: &Interaction) -> Vec<Arg> {
    args![
        one.sid,
        one.account,
        one.service,
        one.session,
        one.kind.as_str(),
        one.from,
        one.to,
        one.inbound.as_str(),
        one.inbound_status.clone(),
        one.outbound.clone(),
        one.outbound_status.clone(),
        one.state.as_str(),
        one.duration_s,
        one.created,
        one.updated,
        one.ended
    ]
}

pub(super) fn read_interaction(row: &Row) -> Result<Interaction> {
    Ok(Interaction {
        sid: row.word("sid")?,
        account: row.word("account")?,
        service: row.word("service")?,
        session: row.word("session")?,
        kind: row.word("kind")?,
        from: row.word("source")?,
        to: row.word("target")?,
        inbound: row.text("inbound")?,
        inbound_status: row.opt_text("inbound_status")?,
        outbound: row.opt_text("outbound")?,
        outbound_status: row.opt_text("outbound_status")?,
        state: row.word("state")?,
        duration_s: row.opt_int("duration_s")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        ended: row.opt_time("ended")?,
    })
}
