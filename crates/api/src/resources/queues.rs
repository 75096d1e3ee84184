//! `/Accounts/{sid}/Queues` and the calls that wait in a queue.

use call_proto::{Dialect, Document, Modify, ModifyError, Redirect, SetIn};
use http::StatusCode;
use model::record::{Account, Queue, QueueMember};
use model::text::{MAX_QUEUE_NAME, is_queue_name};
use model::{CallSid, HttpMethod, QueueSid, error};
use store::{Place, Rows, Scope, StoreError, Window};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::resources::calls::runs_elsewhere;
use crate::roles::Action;
use crate::route::{Answers, IN_USE, Is, LIVE, PAGING, Param, Route, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, View, field};

/// A queue and who waits in it.
struct Shown {
    queue: Queue,
    waiting: i64,
    average_s: i64,
}

const FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.queue.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that owns it.",
        |s, _| Value::text(s.queue.account),
    ),
    field(
        "friendly_name",
        "FriendlyName",
        Kind::Text,
        Null::Never,
        "Name, by which documents find it.",
        |s, _| Value::text(&s.queue.name),
    ),
    field(
        "max_size",
        "MaxSize",
        Kind::Number,
        Null::Never,
        "Maximum number of waiting calls.",
        |s, _| Value::Number(s.queue.max_size.into()),
    ),
    field(
        "current_size",
        "CurrentSize",
        Kind::Number,
        Null::Never,
        "Number of waiting calls.",
        |s, _| Value::Number(s.waiting),
    ),
    field(
        "average_wait_time",
        "AverageWaitTime",
        Kind::Number,
        Null::Never,
        "How long they have waited on average, in seconds.",
        |s, _| Value::Number(s.average_s),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.queue.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.queue.updated),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |s, view| Value::Link(view.uri(s.queue.account, "Queues", s.queue.sid)),
    ),
    field(
        "subresource_uris",
        "SubresourceUris",
        Kind::Object,
        Null::Never,
        "Paths of what belongs to it.",
        subresources,
    ),
];

static QUEUE: Resource<Shown> = Resource {
    xml: ["Queue", "Queue"],
    xml_list: ["Queues", "Queues"],
    json_list: ["queues", "queues"],
    xml_envelope: [true, true],
    fields: FIELDS,
};

fn subresources(shown: &Shown, view: View<'_>) -> Value {
    let path = view.uri(shown.queue.account, "Queues", shown.queue.sid);
    Value::Object(vec![Entry {
        json: "members",
        xml: "Members",
        null: Null::Never,
        value: Value::Link(format!("{path}/Members")),
    }])
}

/// A waiting call and its place.
struct Waiting {
    member: QueueMember,
    /// Account that owns the queue.
    account: model::AccountSid,
    position: usize,
    waited_s: i64,
}

const MEMBER_FIELDS: &[Field<Waiting>] = &[
    field(
        "call_sid",
        "CallSid",
        Kind::Text,
        Null::Never,
        "The call.",
        |w, _| Value::text(w.member.call),
    ),
    field(
        "queue_sid",
        "QueueSid",
        Kind::Text,
        Null::Never,
        "The queue.",
        |w, _| Value::text(w.member.queue),
    ),
    field(
        "position",
        "Position",
        Kind::Number,
        Null::Never,
        "Its place; 1 is the next to be taken.",
        |w, _| Value::Number(i64::try_from(w.position).unwrap_or(i64::MAX)),
    ),
    field(
        "wait_time",
        "WaitTime",
        Kind::Number,
        Null::Never,
        "How long it has waited, in seconds.",
        |w, _| Value::Number(w.waited_s),
    ),
    field(
        "date_enqueued",
        "DateEnqueued",
        Kind::Date,
        Null::Never,
        "When it entered the queue.",
        |w, _| Value::Date(w.member.since),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |w, view| {
            let path = view.uri(w.account, "Queues", w.member.queue);
            Value::Link(format!("{path}/Members/{}", w.member.call))
        },
    ),
];

static MEMBER: Resource<Waiting> = Resource {
    xml: ["QueueMember", "QueueMember"],
    xml_list: ["QueueMembers", "QueueMembers"],
    json_list: ["queue_members", "queue_members"],
    xml_envelope: [true, true],
    fields: MEMBER_FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Queues"];
const ONE: &[&str] = &["/Accounts/{account}/Queues/{sid}"];
const MEMBERS: &[&str] = &["/Accounts/{account}/Queues/{queue}/Members"];
const ONE_MEMBER: &[&str] = &["/Accounts/{account}/Queues/{queue}/Members/{call}"];

/// The routes of queues.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .needs(Action::Read, "Queues")
        .params(&[PAGING])
        .answers(Answers::Page(&QUEUE))
        .doc("Lists queues, newest first."),
    Route::post(LIST, |c, a, _| Box::pin(create(c, a)))
        .needs(Action::Create, "Queues")
        .params(&[NEW, SIZE])
        .answers(Answers::One(&QUEUE))
        .status([200, 201])
        .doc("Creates a queue."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .needs(Action::Read, "Queues")
        .answers(Answers::One(&QUEUE))
        .doc("Reads a queue."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .needs(Action::Modify, "Queues")
        .params(&[NAME, SIZE])
        .answers(Answers::One(&QUEUE))
        .doc("Changes a queue. A smaller `MaxSize` affects only calls that enter later."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .needs(Action::Modify, "Queues")
        .refuses(IN_USE)
        .doc("Deletes a queue in which no call waits (21240)."),
    Route::get(MEMBERS, |c, a, sid| Box::pin(members(c, a, sid)))
        .needs(Action::Read, "Queues")
        .params(&[PAGING])
        .answers(Answers::Page(&MEMBER))
        .doc("Lists the calls that wait in a queue, the next to be taken first."),
    Route::get(ONE_MEMBER, |c, a, sids| Box::pin(member(c, a, sids)))
        .needs(Action::Read, "Queues")
        .answers(Answers::One(&MEMBER))
        .doc("Reads a waiting call."),
    Route::post(ONE_MEMBER, |c, a, sids| Box::pin(dequeue(c, a, sids)))
        .needs(Action::Modify, "Queues")
        .refuses(LIVE)
        .params(&[DOCUMENT])
        .answers(Answers::One(&MEMBER))
        .doc("Takes a call out of the queue and runs the document at `Url` on it. The response shows the place that the call had."),
];

const NEW: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "Name, at most 64 characters, which no other queue of the account has.",
)
.required()];
const NAME: &[Param] = &[param(
    "FriendlyName",
    Is::Text,
    "New name, by which documents find it; at most 64 characters.",
)];
const SIZE: &[Param] = &[param(
    "MaxSize",
    Is::Number,
    "Maximum number of waiting calls, 1 to 5000; 100 if none is set.",
)];
const DOCUMENT: &[Param] = &[
    param(
        "Url",
        Is::Address,
        "Document that the call runs instead of waiting.",
    )
    .required(),
    param("Method", Is::Method, "Method for `Url`; POST if not given."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let page = Page::read(context)?;
    let store = &context.state.store;
    let rows = store
        .queues(Scope::Own(account.sid), &page.window())
        .await?;
    let sids: Vec<QueueSid> = rows.items.iter().map(|queue| queue.sid).collect();
    let sizes = store.queue_sizes(&sids, now()).await?;
    let shown = |queue: Queue| {
        let (waiting, average_s) = sizes.get(&queue.sid).copied().unwrap_or_default();
        Shown {
            queue,
            waiting,
            average_s,
        }
    };
    let rows = Rows {
        items: rows.items.into_iter().map(shown).collect(),
        total: rows.total,
    };
    let path = format!("/Accounts/{}/Queues", account.sid);
    page.show(context, &QUEUE, &path, rows, |shown| {
        row_key(shown.queue.created, shown.queue.sid)
    })
}

async fn one(context: &Context<'_>, queue: Queue) -> Answer {
    let sizes = context.state.store.queue_sizes(&[queue.sid], now()).await?;
    let (waiting, average_s) = sizes.get(&queue.sid).copied().unwrap_or_default();
    let shown = Shown {
        queue,
        waiting,
        average_s,
    };
    Ok(context.show(&QUEUE, &shown))
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Queue, Failure> {
    let sid: QueueSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.queue(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    one(context, find(context, account, sid).await?).await
}

async fn create(context: &Context<'_>, account: &Account) -> Answer {
    let now = now();
    let mut queue = Queue {
        sid: QueueSid::new(now, rand::random()),
        account: account.sid,
        name: String::new(),
        max_size: Queue::DEFAULT_MAX_SIZE,
        created: now,
        updated: now,
    };
    change(context, &mut queue)?;
    let sid = queue.sid;
    let stored = context.state.store.insert_queue(queue).await?;
    match stored.filter(|stored| stored.sid == sid) {
        Some(queue) => one(context, queue).await,
        None => Err(taken()),
    }
}

/// Applies the parameters that were sent.
fn change(context: &Context<'_>, queue: &mut Queue) -> Result<(), Failure> {
    let params = &context.params;
    if let Some(name) = params.get("FriendlyName") {
        let name = name.trim();
        if !is_queue_name(name) {
            let why = format!("it must have 1 to {MAX_QUEUE_NAME} characters");
            return Err(Failure::parameter("FriendlyName", &why));
        }
        name.clone_into(&mut queue.name);
    }
    if let Some(size) = params.parsed::<u32>("MaxSize", "a whole number")? {
        if !(1..=Queue::LARGEST_MAX_SIZE).contains(&size) {
            let why = format!("it must be from 1 to {}", Queue::LARGEST_MAX_SIZE);
            return Err(Failure::parameter("MaxSize", &why));
        }
        queue.max_size = size;
    }
    Ok(())
}

fn taken() -> Failure {
    Failure::of(error::CONFLICT).saying("the account has another queue with this FriendlyName")
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut queue = find(context, account, sid).await?;
        change(context, &mut queue)?;
        let read = queue.updated;
        queue.updated = after(read);
        let changed = context.state.store.update_queue(queue.clone(), read).await;
        match changed {
            Ok(true) => return one(context, queue).await,
            Ok(false) => {}
            Err(StoreError::Duplicate(_)) => return Err(taken()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let queue = find(context, account, sid).await?;
    if context.state.store.delete_queue(queue.sid).await? {
        return Ok(Reply::Nothing);
    }
    find(context, account, sid).await?;
    Err(Failure::of(error::QUEUE_NOT_EMPTY))
}

/// The calls that wait in a queue, in order.
async fn waiting(context: &Context<'_>, queue: &Queue) -> Result<Vec<Waiting>, Failure> {
    let members = context.state.store.queue_members(queue.sid).await?;
    let now = now();
    let shown = |(at, member): (usize, QueueMember)| Waiting {
        account: queue.account,
        position: at + 1,
        waited_s: now.seconds_since(member.since),
        member,
    };
    Ok(members.into_iter().enumerate().map(shown).collect())
}

async fn members(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let queue = find(context, account, sid).await?;
    let page = Page::read(context)?;
    let all = waiting(context, &queue).await?;
    let rows = window(all, &page.window());
    let path = format!("/Accounts/{}/Queues/{}/Members", account.sid, queue.sid);
    page.show(context, &MEMBER, &path, rows, |waiting| {
        row_key(waiting.member.since, waiting.member.call)
    })
}

/// A part of the waiting calls. There are few, and those before it may leave at any time.
fn window(all: Vec<Waiting>, window: &Window) -> Rows<Waiting> {
    let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let key = |it: &Waiting| (it.member.since, it.member.call.to_string());
    let offset = usize::try_from(window.offset).unwrap_or(0);
    let count = all.len();
    let skip = match &window.place {
        Place::Offset | Place::Newest => offset,
        Place::OlderThan(row) => {
            all.partition_point(|it| key(it) <= (row.created, row.sid.clone()))
        }
        Place::NewerThan(row) => {
            let before = all.partition_point(|it| key(it) < (row.created, row.sid.clone()));
            let items = all.into_iter().take(before);
            let items = items.skip(before.saturating_sub(limit)).collect();
            return Rows { items, total };
        }
        Place::AfterRow(sid) => {
            let at = all.iter().position(|it| it.member.call.to_string() == *sid);
            at.map_or(count, |at| at + 1)
        }
    };
    Rows {
        items: all.into_iter().skip(skip).take(limit).collect(),
        total,
    }
}

async fn member(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let found = find_member(context, account, sids).await?;
    Ok(context.show(&MEMBER, &found))
}

/// A waiting call, by the SIDs of the queue and of the call; the first one by `Front`.
async fn find_member(
    context: &Context<'_>,
    account: &Account,
    sids: &str,
) -> Result<Waiting, Failure> {
    let (queue, call) = sids.split_once('/').ok_or_else(Failure::not_found)?;
    let queue = find(context, account, queue).await?;
    let all = waiting(context, &queue).await?.into_iter();
    let found = if call.eq_ignore_ascii_case("front") {
        { all }.next()
    } else {
        let call: CallSid = call.parse().map_err(|_| Failure::not_found())?;
        { all }.find(|it| it.member.call == call)
    };
    found.ok_or_else(Failure::not_found)
}

async fn dequeue(context: &Context<'_>, account: &Account, sids: &str) -> Answer {
    let found = find_member(context, account, sids).await?;
    let call = found.member.call;
    let url = context.optional_address("Url")?;
    let url = url.ok_or_else(|| Failure::parameter("Url", "it must be an address"))?;
    let method = context.params.method("Method")?;
    let redirect = Redirect {
        document: Document {
            url,
            method: method.unwrap_or(HttpMethod::Post),
            author: context.caller.sid,
            text: None,
            fallback: None,
            set_in: SetIn::Request,
        },
        status_callback: None,
        only_in: Some(found.member.queue),
        move_connected_leg: false,
        dialect: Some(Dialect::of(context.dialect.runs)),
    };
    let modify = Modify::Redirect(Box::new(redirect));
    match context.state.calls.modify(call, modify).await {
        Ok(_) => Ok(context.show(&MEMBER, &found)),
        Err(ModifyError::NotLive) => {
            let elsewhere = runs_elsewhere(&context.state.store, call).await?;
            Err(elsewhere.unwrap_or_else(Failure::not_found))
        }
        Err(refusal @ ModifyError::Unconfirmed) => {
            let late = Failure::of(error::INTERNAL).saying(refusal.to_string());
            Err(late.with_status(StatusCode::SERVICE_UNAVAILABLE))
        }
        Err(
            ModifyError::NotAnswered
            | ModifyError::NotInConference
            | ModifyError::NotInQueue
            | ModifyError::Interjection(_)
            | ModifyError::Recording(_),
        ) => Err(Failure::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Timestamp;
    use store::RowKey;

    #[test]
    fn a_window_of_members_is_cut_from_the_list() {
        let all = || -> Vec<Waiting> {
            let waiting = |at: u8| Waiting {
                member: QueueMember {
                    call: CallSid::from_bytes([at; 16]),
                    account: model::AccountSid::from_bytes([1; 16]),
                    queue: QueueSid::from_bytes([1; 16]),
                    since: Timestamp(at.into()),
                },
                account: model::AccountSid::from_bytes([1; 16]),
                position: at.into(),
                waited_s: 0,
            };
            (1..=5).map(waiting).collect()
        };
        let key = |at: u8| RowKey {
            created: Timestamp(at.into()),
            sid: CallSid::from_bytes([at; 16]).to_string(),
        };
        let sid = CallSid::from_bytes([4; 16]).to_string();
        let table = [
            (Place::Offset, 1, vec![2, 3]),
            (Place::Newest, 4, vec![5]),
            (Place::OlderThan(key(2)), 0, vec![3, 4]),
            (Place::NewerThan(key(4)), 0, vec![2, 3]),
            (Place::NewerThan(key(2)), 0, vec![1]),
            (Place::AfterRow(sid), 0, vec![5]),
            (Place::AfterRow("CA".to_owned()), 0, vec![]),
        ];
        for (place, offset, expected) in table {
            let window = Window {
                place: place.clone(),
                ..Window::at(offset, 2)
            };
            let rows = super::window(all(), &window);
            let places: Vec<usize> = rows.items.iter().map(|it| it.position).collect();
            assert_eq!((places, rows.total), (expected, 5), "{place:?}");
        }
    }
}
