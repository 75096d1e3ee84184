//! Converts records to columns and back, one pair of functions per table.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use model::record::{
    Account, Application, CallRecord, Callback, Client, MediaCounts, Notification, Number,
    Organization, Recording, RecordingKind, ShownRecording, StartedRecording, VoiceApplication,
};
use model::{CallStatus, ClientSid, InstanceSid};

use crate::row::{Row, corrupt};
use crate::secret::SecretKey;
use crate::sql::{Arg, Table, args};
use crate::{OrphanRecording, PendingCallback, Result};

mod messages;

pub(crate) use messages::{MESSAGES, message, message_args};

pub(crate) static ORGANIZATIONS: Table = Table {
    name: "organizations",
    counted: false,
    columns: &["sid", "domain_name", "created", "status", "updated"],
    insert_once: OnceLock::new(),
};

pub(crate) fn organization_args(organization: &Organization) -> Vec<Arg> {
    args![
        organization.sid,
        organization.domain_name.as_str(),
        organization.created,
        organization.status,
        organization.updated
    ]
}

pub(crate) fn organization(row: &Row) -> Result<Organization> {
    let created = row.time("created")?;
    Ok(Organization {
        sid: row.word("sid")?,
        domain_name: row.text("domain_name")?,
        status: row.word("status")?,
        created,
        // The release before writes none.
        updated: row.time("updated")?.max(created),
    })
}

pub(crate) static ACCOUNTS: Table = Table {
    name: "accounts",
    counted: false,
    columns: &[
        "sid",
        "organization",
        "parent",
        "friendly_name",
        "email",
        "status",
        "role",
        "password_hash",
        "auth_token",
        "secondary_token",
        "is_test",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn account_args(account: &Account, key: &SecretKey) -> Vec<Arg> {
    let seal = |token: &String| key.seal(token.as_bytes(), account.sid.as_bytes());
    args![
        account.sid,
        account.organization,
        account.parent,
        account.friendly_name.as_str(),
        account.email.as_str(),
        account.status,
        account.role.as_str(),
        account.password_hash.clone(),
        seal(&account.auth_token),
        account.secondary_token.as_ref().map(seal),
        account.is_test,
        account.created,
        account.updated,
    ]
}

pub(crate) fn account(row: &Row, key: &SecretKey) -> Result<Account> {
    let sid: model::AccountSid = row.word("sid")?;
    let open = |column: &'static str, sealed: Vec<u8>| {
        let token = key.open(&sealed, sid.as_bytes())?;
        String::from_utf8(token).map_err(|error| corrupt(column, error))
    };
    let secondary = row.opt_blob("secondary_token")?;
    Ok(Account {
        sid,
        organization: row.word("organization")?,
        parent: row.opt_word("parent")?,
        friendly_name: row.text("friendly_name")?,
        email: row.text("email")?,
        status: row.word("status")?,
        role: row.text("role")?,
        password_hash: row.opt_text("password_hash")?,
        auth_token: open("auth_token", row.blob("auth_token")?)?,
        secondary_token: secondary
            .map(|sealed| open("secondary_token", sealed))
            .transpose()?,
        is_test: row.flag("is_test")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(crate) static CLIENTS: Table = Table {
    name: "clients",
    counted: false,
    columns: &[
        "sid",
        "account",
        "organization",
        "friendly_name",
        "login",
        "ha1_md5",
        "ha1_sha256",
        "ha1",
        "enabled",
        "voice_application",
        "voice_url",
        "voice_method",
        "voice_fallback_url",
        "voice_fallback_method",
        "voice_dialect",
        "push",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

/// The digests are sealed: they are equivalent to the password. The columns that once held them in
/// clear text stay empty.
pub(crate) fn client_args(client: &Client, key: &SecretKey) -> Vec<Arg> {
    let digests = (client.ha1_md5.as_str(), client.ha1_sha256.as_str());
    args![
        client.sid,
        client.account,
        client.organization,
        client.friendly_name.as_str(),
        client.login.as_str(),
        "",
        "",
        sealed_digests(client.sid, digests, key),
        client.enabled,
        client.voice.application,
        client.voice.url.clone(),
        client.voice.method,
        client.voice.fallback_url.clone(),
        client.voice.fallback_method,
        client.voice.dialect,
        client.push,
        client.created,
        client.updated,
    ]
}

/// Both digests of a client's password, sealed with the server's key.
pub(crate) fn sealed_digests(
    client: ClientSid,
    (md5, sha256): (&str, &str),
    key: &SecretKey,
) -> Vec<u8> {
    key.seal(format!("{md5}:{sha256}").as_bytes(), client.as_bytes())
}

pub(crate) fn client(row: &Row, key: &SecretKey) -> Result<Client> {
    let sid: ClientSid = row.word("sid")?;
    let (ha1_md5, ha1_sha256) = match row.opt_blob("ha1")? {
        Some(sealed) => {
            let text = String::from_utf8(key.open(&sealed, sid.as_bytes())?);
            let text = text.map_err(|error| corrupt("ha1", error))?;
            let (md5, sha256) = text
                .split_once(':')
                .ok_or_else(|| corrupt("ha1", "there is one digest"))?;
            (md5.to_owned(), sha256.to_owned())
        }
        None => (row.text("ha1_md5")?, row.text("ha1_sha256")?),
    };
    Ok(Client {
        sid,
        account: row.word("account")?,
        organization: row.word("organization")?,
        friendly_name: row.text("friendly_name")?,
        login: row.text("login")?,
        ha1_md5,
        ha1_sha256,
        enabled: row.flag("enabled")?,
        push: row.flag("push")?,
        voice: voice(row)?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

fn voice(row: &Row) -> Result<VoiceApplication> {
    Ok(VoiceApplication {
        application: row.opt_word("voice_application")?,
        url: row.opt_text("voice_url")?,
        method: row.opt_word("voice_method")?,
        fallback_url: row.opt_text("voice_fallback_url")?,
        fallback_method: row.opt_word("voice_fallback_method")?,
        dialect: row.word("voice_dialect")?,
    })
}

pub(crate) static APPLICATIONS: Table = Table {
    name: "applications",
    counted: false,
    columns: &[
        "sid",
        "account",
        "friendly_name",
        "api_version",
        "voice_caller_id_lookup",
        "rcml_url",
        "voice_method",
        "voice_fallback_url",
        "voice_fallback_method",
        "status_callback",
        "status_callback_method",
        "dialect",
        "kind",
        "extra",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn application_args(application: &Application) -> Vec<Arg> {
    args![
        application.sid,
        application.account,
        application.friendly_name.as_str(),
        application.api_version.as_str(),
        application.voice_caller_id_lookup,
        application.rcml_url.clone(),
        application.method,
        application.fallback_url.clone(),
        application.fallback_method,
        application.status_callback.clone(),
        application.status_callback_method,
        application.dialect,
        application.kind.clone(),
        serde_json::to_string(&application.extra).unwrap_or_default(),
        application.created,
        application.updated,
    ]
}

pub(crate) fn application(row: &Row) -> Result<Application> {
    Ok(Application {
        sid: row.word("sid")?,
        account: row.word("account")?,
        friendly_name: row.text("friendly_name")?,
        api_version: row.text("api_version")?,
        voice_caller_id_lookup: row.flag("voice_caller_id_lookup")?,
        rcml_url: row.opt_text("rcml_url")?,
        method: row.opt_word("voice_method")?,
        fallback_url: row.opt_text("voice_fallback_url")?,
        fallback_method: row.opt_word("voice_fallback_method")?,
        status_callback: row.opt_text("status_callback")?,
        status_callback_method: row.opt_word("status_callback_method")?,
        dialect: row.word("dialect")?,
        kind: row.opt_text("kind")?,
        extra: match row.opt_text("extra")? {
            Some(text) => serde_json::from_str(&text).map_err(|error| corrupt("extra", error))?,
            // Written by a release that did not know it.
            None => BTreeMap::new(),
        },
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(crate) static NUMBERS: Table = Table {
    name: "numbers",
    counted: false,
    columns: &[
        "sid",
        "account",
        "organization",
        "friendly_name",
        "phone_number",
        "pure_sip",
        "is_public",
        "voice_application",
        "voice_url",
        "voice_method",
        "voice_fallback_url",
        "voice_fallback_method",
        "voice_dialect",
        "status_callback",
        "status_callback_method",
        "voice_caller_id_lookup",
        "extra",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn number_args(number: &Number) -> Vec<Arg> {
    args![
        number.sid,
        number.account,
        number.organization,
        number.friendly_name.as_str(),
        number.phone_number.as_str(),
        number.pure_sip,
        number.public,
        number.voice.application,
        number.voice.url.clone(),
        number.voice.method,
        number.voice.fallback_url.clone(),
        number.voice.fallback_method,
        number.voice.dialect,
        number.status_callback.clone(),
        number.status_callback_method,
        number.voice_caller_id_lookup,
        // Texts as keys and values always have a JSON form.
        serde_json::to_string(&number.extra).unwrap_or_default(),
        number.created,
        number.updated,
    ]
}

pub(crate) fn number(row: &Row) -> Result<Number> {
    Ok(Number {
        sid: row.word("sid")?,
        account: row.word("account")?,
        organization: row.word("organization")?,
        friendly_name: row.text("friendly_name")?,
        phone_number: row.text("phone_number")?,
        pure_sip: row.flag("pure_sip")?,
        public: row.flag("is_public")?,
        voice: voice(row)?,
        status_callback: row.opt_text("status_callback")?,
        status_callback_method: row.opt_word("status_callback_method")?,
        voice_caller_id_lookup: row.flag("voice_caller_id_lookup")?,
        extra: serde_json::from_str(&row.text("extra")?)
            .map_err(|error| corrupt("extra", error))?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

/// End reason of a call, message or conference that another server closed, because it took its own for dead.
pub(crate) const NODE_LOST: &str = "node-lost";

/// Appends the condition for such a call.
pub(crate) fn ended_elsewhere(sql: &mut crate::sql::Sql) {
    sql.with(" AND ended IS NOT NULL AND reason = ?", NODE_LOST);
}

pub(crate) static CALLS: Table = Table {
    name: "calls",
    counted: true,
    columns: &[
        "sid",
        "instance",
        "parent",
        "account",
        "to_user",
        "from_user",
        "number",
        "status",
        "direction",
        "created",
        "updated",
        "started",
        "answered",
        "ended",
        "duration_s",
        "ring_duration_s",
        "answered_by",
        "forwarded_from",
        "caller_name",
        "reason",
        "sip_status",
        "sip_call_id",
        "muted",
        "hangup_by",
        "sip_reason",
        "media",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn call_args(call: &CallRecord) -> Vec<Arg> {
    let ended = match call.ended {
        None if call.status.is_final() => Some(call.updated),
        ended => ended,
    };
    args![
        call.sid,
        call.instance,
        call.parent,
        call.account,
        call.to.as_str(),
        call.from.as_str(),
        call.number,
        call.status,
        call.direction,
        call.created,
        call.updated,
        call.started,
        call.answered,
        ended,
        call.duration_s,
        call.ring_duration_s,
        call.answered_by.clone(),
        call.forwarded_from.clone(),
        call.caller_name.clone(),
        call.reason.clone(),
        call.sip_status,
        call.sip_call_id.clone(),
        call.muted,
        call.hangup_by,
        call.sip_reason.clone(),
        call.media.map(|media| media_text(&media)),
    ]
}

/// Numbers always have a JSON form.
pub(crate) fn media_text(media: &MediaCounts) -> String {
    serde_json::to_string(media).unwrap_or_default()
}

pub(crate) fn call(row: &Row) -> Result<CallRecord> {
    Ok(CallRecord {
        sid: row.word("sid")?,
        instance: row.word::<InstanceSid>("instance")?,
        parent: row.opt_word("parent")?,
        account: row.word("account")?,
        to: row.text("to_user")?,
        from: row.text("from_user")?,
        number: row.opt_word("number")?,
        status: row.word::<CallStatus>("status")?,
        direction: row.word("direction")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
        started: row.opt_time("started")?,
        answered: row.opt_time("answered")?,
        ended: row.opt_time("ended")?,
        duration_s: row.opt_int("duration_s")?,
        ring_duration_s: row.opt_int("ring_duration_s")?,
        answered_by: row.opt_text("answered_by")?,
        forwarded_from: row.opt_text("forwarded_from")?,
        caller_name: row.opt_text("caller_name")?,
        reason: row.opt_text("reason")?,
        sip_status: row.opt_small("sip_status")?,
        sip_call_id: row.opt_text("sip_call_id")?,
        muted: row.flag("muted")?,
        hangup_by: row.opt_word("hangup_by")?,
        sip_reason: row.opt_text("sip_reason")?,
        media: match row.opt_text("media")? {
            None => None,
            Some(text) => {
                Some(serde_json::from_str(&text).map_err(|error| corrupt("media", error))?)
            }
        },
    })
}

pub(crate) static RECORDINGS: Table = Table {
    name: "recordings",
    counted: true,
    columns: &[
        "sid",
        "account",
        "call",
        "conference",
        "source",
        "channels",
        "duration_ms",
        "size_bytes",
        "created",
        "updated",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn recording_args(recording: &Recording) -> Vec<Arg> {
    args![
        recording.sid,
        recording.account,
        recording.call,
        recording.conference,
        recording.kind.source,
        i64::from(recording.kind.channels),
        recording.duration_ms,
        recording.size_bytes,
        recording.created,
        recording.updated,
    ]
}

pub(crate) fn recording(row: &Row) -> Result<Recording> {
    Ok(Recording {
        sid: row.word("sid")?,
        account: row.word("account")?,
        call: row.opt_word("call")?,
        conference: row.opt_word("conference")?,
        kind: recording_kind(row)?,
        duration_ms: row.int("duration_ms")?,
        size_bytes: row.int("size_bytes")?,
        created: row.time("created")?,
        updated: row.time("updated")?,
    })
}

pub(crate) fn shown_recording(row: &Row) -> Result<ShownRecording> {
    Ok(ShownRecording {
        recording: recording(row)?,
        status: row.word("status")?,
    })
}

pub(crate) static STARTED_RECORDINGS: Table = Table {
    name: "started_recordings",
    counted: false,
    columns: &[
        "sid",
        "instance",
        "account",
        "call",
        "conference",
        "source",
        "channels",
        "created",
        "farewell",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn started_recording_args(
    started: &StartedRecording,
    farewell: Option<&str>,
    instance: InstanceSid,
) -> Vec<Arg> {
    args![
        started.sid,
        instance,
        started.account,
        started.call,
        started.conference,
        started.kind.source,
        i64::from(started.kind.channels),
        started.created,
        farewell.map(str::to_owned),
    ]
}

pub(crate) fn orphan_recording(row: &Row) -> Result<OrphanRecording> {
    let started = StartedRecording {
        sid: row.word("sid")?,
        account: row.word("account")?,
        call: row.opt_word("call")?,
        conference: row.opt_word("conference")?,
        kind: recording_kind(row)?,
        created: row.time("created")?,
    };
    let farewell = row.opt_text("farewell")?;
    Ok(OrphanRecording { started, farewell })
}

fn recording_kind(row: &Row) -> Result<RecordingKind> {
    Ok(RecordingKind {
        source: row.word("source")?,
        channels: u8::try_from(row.int("channels")?).unwrap_or(1),
    })
}

pub(crate) static NOTIFICATIONS: Table = Table {
    name: "notifications",
    counted: true,
    columns: &[
        "sid",
        "account",
        "lane",
        "call",
        "level",
        "code",
        "message",
        "request_url",
        "request_method",
        "line",
        "col",
        "created",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn notification_args(notification: &Notification) -> Vec<Arg> {
    args![
        notification.sid,
        notification.account,
        notification.lane,
        notification.call,
        notification.level,
        i64::from(notification.code),
        notification.text.as_str(),
        notification.request_url.clone(),
        notification.request_method.clone(),
        notification.line,
        notification.column,
        notification.created,
    ]
}

pub(crate) fn notification(row: &Row) -> Result<Notification> {
    let account: model::AccountSid = row.word("account")?;
    let call: Option<model::CallSid> = row.opt_word("call")?;
    Ok(Notification {
        sid: row.word("sid")?,
        account,
        // Rows from before there were lanes are about a call, or about the account.
        lane: row
            .opt_word("lane")?
            .unwrap_or_else(|| call.map_or(account.into(), model::Lane::from)),
        call,
        level: row.int("level")?,
        code: row
            .opt_small("code")?
            .ok_or_else(|| corrupt("code", "it is null"))?,
        text: row.text("message")?,
        request_url: row.opt_text("request_url")?,
        request_method: row.opt_text("request_method")?,
        line: row.opt_small("line")?,
        column: row.opt_small("col")?,
        created: row.time("created")?,
    })
}

pub(crate) static OUTBOX: Table = Table {
    name: "outbox",
    counted: false,
    columns: &[
        "event",
        "owner",
        "account",
        "lane",
        "call",
        "sequence",
        "url",
        "method",
        "params",
        "created",
        "state",
        "attempts",
        "next_at",
        "http_status",
        "error",
        "ended",
        "replayed",
        "author",
    ],
    insert_once: OnceLock::new(),
};

pub(crate) fn callback_args(callback: &Callback, owner: InstanceSid) -> Vec<Arg> {
    args![
        callback.event,
        owner,
        callback.account,
        callback.lane,
        callback.call,
        callback.sequence,
        callback.url.as_str(),
        callback.method,
        // Texts always have a JSON form.
        serde_json::to_string(&callback.params).unwrap_or_default(),
        callback.created,
        "pending",
        0,
        None::<i64>,
        None::<i64>,
        None::<String>,
        None::<i64>,
        None::<i64>,
        callback.author,
    ]
}

pub(crate) fn callback(row: &Row) -> Result<PendingCallback> {
    let account = row.word("account")?;
    Ok(PendingCallback {
        callback: Callback {
            event: row.word("event")?,
            account,
            // A release without authors omits it.
            author: row.opt_word("author")?.unwrap_or(account),
            lane: row.word("lane")?,
            call: row.opt_word("call")?,
            sequence: row.int("sequence")?,
            url: row.text("url")?,
            method: row.word("method")?,
            params: serde_json::from_str(&row.text("params")?)
                .map_err(|error| corrupt("params", error))?,
            created: row.time("created")?,
        },
        attempts: row.int("attempts")?,
        next_at: row.opt_time("next_at")?,
        replayed: row.opt_time("replayed")?,
    })
}
