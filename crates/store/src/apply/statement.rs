//! The statements of changes that need only one.

use super::*;

/// The statement of a change that needs only one.
pub(super) fn statement(context: Context, change: &Change) -> Sql {
    match change {
        Change::CallCreated(call) => rows::CALLS.insert_once(rows::call_args(call)),
        Change::CallRinging {
            sid,
            at,
            sip_call_id,
        } => Sql::new(
            "UPDATE calls SET status = 'ringing', updated = $2, \
             sip_call_id = COALESCE($3, sip_call_id) \
             WHERE sid = $1 AND ended IS NULL AND answered IS NULL",
            args![*sid, *at, sip_call_id.clone()],
        ),
        Change::CallAnswered {
            sid,
            at,
            answered_by,
            sip_call_id,
            ring_duration_s,
            dialog,
        } => Sql::new(
            "UPDATE calls SET status = 'in-progress', updated = $2, started = $2, \
             answered = $2, answered_by = COALESCE($3, answered_by), \
             sip_call_id = COALESCE($4, sip_call_id), \
             ring_duration_s = COALESCE($5, ring_duration_s), dialog = COALESCE($6, dialog) \
             WHERE sid = $1 AND ended IS NULL",
            args![
                *sid,
                *at,
                answered_by.clone(),
                sip_call_id.clone(),
                *ring_duration_s,
                dialog.clone()
            ],
        ),
        Change::Registered {
            organization,
            login,
            server,
            phones: Some(KeptPhones { content, expires }),
        } => Sql::new(
            "INSERT INTO registrations (organization, login, server, content, expires) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (organization, login, server) \
             DO UPDATE SET content = excluded.content, expires = excluded.expires",
            args![
                *organization,
                login.clone(),
                *server,
                content.clone(),
                *expires
            ],
        ),
        Change::Registered {
            organization,
            login,
            server,
            phones: None,
        } => Sql::new(
            "DELETE FROM registrations WHERE organization = $1 AND login = $2 AND server = $3",
            args![*organization, login.clone(), *server],
        ),
        Change::RegistrationsAdopted {
            organization,
            server,
        } => Sql::new(
            "UPDATE registrations SET server = $2 WHERE organization = $1 AND server = '' \
             AND login NOT IN (SELECT login FROM registrations \
             WHERE organization = $1 AND server = $2)",
            args![*organization, *server],
        ),
        Change::CallUpdated(update) => Sql::new(
            "UPDATE calls SET updated = $2, muted = COALESCE($3, muted), \
             sip_call_id = COALESCE($4, sip_call_id), dialog = COALESCE($5, dialog), \
             answered_by = COALESCE($6, answered_by) WHERE sid = $1 AND ended IS NULL",
            args![
                update.sid,
                update.at,
                update.muted.map(i64::from),
                update.sip_call_id.clone(),
                update.dialog.clone(),
                update.answered_by.clone()
            ],
        ),
        Change::CallFarewell { sid, farewell } => Sql::new(
            "UPDATE calls SET farewell = $2 WHERE sid = $1 AND ended IS NULL",
            args![*sid, farewell.as_str()],
        ),
        Change::CallEnded {
            sid,
            status,
            at,
            duration_s,
            ring_duration_s,
            reason,
            hangup_by,
            sip_status,
            sip_reason,
        } => Sql::new(
            "UPDATE calls SET status = $2, updated = $3, ended = $3, duration_s = $4, \
             ring_duration_s = COALESCE($5, ring_duration_s), reason = $6, sip_status = $7, \
             hangup_by = $10, sip_reason = $11, queue = NULL, queue_since = NULL \
             WHERE sid = $1 AND instance = $8 \
             AND (ended IS NULL OR ($9 = 1 AND ended = $3 AND status = $2))",
            args![
                *sid,
                *status,
                *at,
                *duration_s,
                *ring_duration_s,
                reason.clone(),
                *sip_status,
                context.instance,
                context.repeated,
                *hangup_by,
                sip_reason.clone()
            ],
        ),
        Change::CallMedia { sid, counts } => Sql::new(
            "UPDATE calls SET media = $2 WHERE sid = $1",
            args![*sid, rows::media_text(counts)],
        ),
        Change::OrphanClosed(call) => Sql::new(
            "UPDATE calls SET status = $2, updated = $3, ended = $4, duration_s = $5, \
             ring_duration_s = $6, reason = $7, hangup_by = $9, queue = NULL, queue_since = NULL \
             WHERE sid = $1 AND instance = $8 AND ended IS NULL",
            args![
                call.sid,
                call.status,
                call.updated,
                call.ended,
                call.duration_s,
                call.ring_duration_s,
                call.reason.clone(),
                call.instance,
                call.hangup_by
            ],
        ),
        Change::Transcription(row) => transcriptions::keep(row),
        Change::Interacted(interaction) => masking::insert_interaction(interaction),
        Change::InteractionSent { sid, message, at } => masking::name_outbound(*sid, *message, *at),
        Change::EmailQueued(email) => emails::EMAILS.insert_once(emails::args_of(email, None)),
        Change::EmailEnded { email, attempt, .. } => emails::end(email, *attempt),
        Change::MessageCreated { message, farewell } => {
            rows::MESSAGES.insert_once(rows::message_args(message, farewell.as_deref()))
        }
        Change::MessageUnsent { sid, sealed } => forwarding::unsent(*sid, sealed),
        Change::MessagePlanned { sid, send_at, plan } => scheduled::planned(*sid, *send_at, plan),
        Change::MessageReleased { message, farewell } => {
            scheduled::released(message, farewell.as_deref(), context.repeated)
        }
        Change::TextClaimed { sid, from } => Sql::new(
            "UPDATE messages SET instance = $3 WHERE sid = $1 AND instance = $2 AND ended IS NULL",
            args![*sid, *from, context.instance],
        ),
        Change::MessageEnded { message, .. } => Sql::new(
            "UPDATE messages SET status = $2, updated = $3, ended = $3, sent = $4, \
             error_code = $5, reason = $6, \
             farewell = CASE WHEN direction = 'inbound' THEN NULL ELSE farewell END \
             WHERE sid = $1 AND instance = $7 \
             AND (ended IS NULL OR ($8 = 1 AND ended = $3 AND status = $2))",
            args![
                message.sid,
                message.status,
                message.updated,
                message.sent,
                message.error_code,
                message.reason.clone(),
                message.instance,
                context.repeated
            ],
        ),
        Change::MessageMoved {
            message,
            expected,
            attempt,
            ..
        } => forwarding::moved(message, *expected, *attempt, context.repeated),
        Change::OptedOut(opt_out) => opt_outs::insert(opt_out),
        Change::OptedIn(sids) => opt_outs::remove(sids),
        Change::MessagePart { part, at } => forwarding::insert_part(part, *at),
        Change::MessagePartDone { part, state } => forwarding::part_done(part, *state),
        Change::ConferenceCreated(conference) => conferences::create(conference),
        Change::ConferenceStarted { sid, at } => conferences::start(*sid, *at),
        Change::ConferenceFarewell { sid, farewell } => conferences::keep_farewell(*sid, farewell),
        Change::ConferenceClosed(record) => conferences::close(record),
        Change::ConferenceEnded {
            sid,
            status,
            at,
            reason,
        } => {
            let Context {
                instance, repeated, ..
            } = context;
            conferences::end(*sid, *status, *at, reason, instance, repeated)
        }
        Change::ConferenceJoined {
            call,
            at,
            membership,
        } => conferences::join(*call, membership, *at),
        Change::QueueEntered {
            call,
            at,
            queue,
            since,
        } => queues::enter(*call, *queue, *since, *at),
        Change::QueueLeft { call, at, queue } => queues::leave(*call, *queue, *at),
        Change::ConferenceLeft {
            call,
            at,
            conference,
        } => conferences::leave(*call, *conference, *at),
        Change::RecordingStarted { started, farewell } => {
            let farewell = farewell.as_deref();
            let args = rows::started_recording_args(started, farewell, context.instance);
            rows::STARTED_RECORDINGS.insert_once(args)
        }
        Change::RecordingClosed { sid, .. } => rows::STARTED_RECORDINGS.delete(*sid),
        Change::RecordingChanged { sid, status, at } => Sql::new(
            "UPDATE started_recordings SET status = $1, updated = $2 WHERE sid = $3",
            args![*status, *at, *sid],
        ),
        Change::RecordingReported { sid, .. } => Sql::new(
            "UPDATE started_recordings SET farewell = NULL, status = $1 \
             WHERE sid = $2 AND (farewell IS NOT NULL OR status <> $1)",
            args![RecordingStatus::Failed, *sid],
        ),
        Change::Recording(recording) => {
            rows::RECORDINGS.insert_once(rows::recording_args(recording))
        }
        Change::Notification(notification) => {
            rows::NOTIFICATIONS.insert_once(rows::notification_args(notification))
        }
        Change::CallbackQueued(callback) => {
            rows::OUTBOX.insert_once(rows::callback_args(callback, context.instance))
        }
        Change::Refused(refusal) => refused(refusal),
        Change::CallbackDone {
            event,
            attempts,
            status,
            dead,
            at,
            given_up: _,
        } => Sql::new(
            "UPDATE outbox SET state = $2, attempts = $3, http_status = $4, error = $5, \
             ended = $6, next_at = NULL WHERE event = $1 AND state = 'pending' AND owner = $7",
            args![
                *event,
                if dead.is_some() { "dead" } else { "delivered" },
                *attempts,
                *status,
                dead.clone(),
                *at,
                context.instance
            ],
        ),
        Change::CallbackRetry {
            event,
            attempts,
            next_at,
            status,
            error,
        } => Sql::new(
            "UPDATE outbox SET attempts = $2, next_at = $3, http_status = $4, error = $5 \
             WHERE event = $1 AND state = 'pending' AND owner = $6",
            args![
                *event,
                *attempts,
                *next_at,
                *status,
                error.as_str(),
                context.instance
            ],
        ),
        Change::CallbacksReplayed { filter, at } => filter.replay(*at),
        Change::CallbackClaimed { event } => {
            deliveries::claim(*event, context.instance, context.repeated)
        }
        Change::Trace { lane, blob } => Sql::new(
            "INSERT INTO traces (lane, content) VALUES ($1, $2) \
             ON CONFLICT (lane) DO UPDATE SET content = excluded.content",
            args![*lane, blob.clone()],
        ),
        Change::Alive { instance, at } => Sql::new(
            "INSERT INTO instances (sid, started, last_alive) VALUES ($1, $2, $2) \
             ON CONFLICT (sid) DO UPDATE SET last_alive = excluded.last_alive \
             WHERE instances.last_alive < excluded.last_alive",
            args![*instance, *at],
        ),
    }
}

/// Adds to the count of a source, a reason and a name.
fn refused(refusal: &Refusal) -> Sql {
    Sql::new(
        "INSERT INTO refusals (source, reason, name, n, first_at, last_at) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (source, reason, name) \
         DO UPDATE SET n = refusals.n + excluded.n, last_at = excluded.last_at",
        args![
            refusal.source.to_string(),
            refusal.reason.as_str(),
            refusal.name.clone(),
            i64::try_from(refusal.count).unwrap_or(i64::MAX),
            refusal.first,
            refusal.last
        ],
    )
}
