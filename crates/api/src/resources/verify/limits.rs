//! Limits that an application counts by values of its own, and their buckets.

use model::record::Account;
use model::{VerifyBucketSid, VerifyLimitSid, error};
use verify::{Bucket, RateLimit, Service};

use super::{KIND, service_of, url};
use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::page::{Page, row_key};
use crate::roles::Action;
use crate::route::{Answers, Is, Param, Route, TWILIO_PAGING, param};
use crate::value::{Field, Kind, Null, Resource, Value, field};

/// Maximum number of limits of a service, and of buckets of a limit.
const MAX_LIMITS: i64 = 10;

/// A bucket with the service of its limit.
struct Shown {
    bucket: Bucket,
    service: Service,
}

const LIMIT_FIELDS: &[Field<RateLimit>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |l, _| Value::text(l.sid),
    ),
    field(
        "service_sid",
        "ServiceSid",
        Kind::Text,
        Null::Never,
        "The service.",
        |l, _| Value::text(l.service),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that it belongs to.",
        |l, _| Value::text(l.account),
    ),
    field(
        "unique_name",
        "UniqueName",
        Kind::Text,
        Null::Never,
        "The name in `RateLimits`.",
        |l, _| Value::text(&l.name),
    ),
    field(
        "description",
        "Description",
        Kind::Text,
        Null::Never,
        "Human-readable description.",
        |l, _| Value::text(&l.description),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |l, _| Value::Date(l.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |l, _| Value::Date(l.updated),
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |l, view| {
            Value::text(url(
                view,
                &format!("Services/{}/RateLimits/{}", l.service, l.sid),
            ))
        },
    ),
    field(
        "links",
        "Links",
        Kind::Object,
        Null::Never,
        "Addresses of what belongs to it.",
        |l, view| {
            let buckets = url(
                view,
                &format!("Services/{}/RateLimits/{}/Buckets", l.service, l.sid),
            );
            Value::Texts(vec![("buckets".to_owned(), buckets)])
        },
    ),
];

static LIMIT: Resource<RateLimit> = Resource {
    xml: ["VerifyRateLimit", "VerifyRateLimit"],
    xml_list: ["VerifyRateLimits", "VerifyRateLimits"],
    json_list: ["rate_limits", "rate_limits"],
    xml_envelope: [true, true],
    fields: LIMIT_FIELDS,
};

const BUCKET_FIELDS: &[Field<Shown>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |s, _| Value::text(s.bucket.sid),
    ),
    field(
        "rate_limit_sid",
        "RateLimitSid",
        Kind::Text,
        Null::Never,
        "The limit it belongs to.",
        |s, _| Value::text(s.bucket.limit),
    ),
    field(
        "service_sid",
        "ServiceSid",
        Kind::Text,
        Null::Never,
        "The service.",
        |s, _| Value::text(s.service.sid),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account that it belongs to.",
        |s, _| Value::text(s.bucket.account),
    ),
    field(
        "max",
        "Max",
        Kind::Number,
        Null::Never,
        "Codes for one value within a period.",
        |s, _| Value::Number(s.bucket.max),
    ),
    field(
        "interval",
        "Interval",
        Kind::Number,
        Null::Never,
        "The period in seconds.",
        |s, _| Value::Number(s.bucket.period_s),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |s, _| Value::Date(s.bucket.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |s, _| Value::Date(s.bucket.updated),
    ),
    field(
        "url",
        "Url",
        Kind::Text,
        Null::Never,
        "Its address.",
        |s, view| {
            let (service, limit, sid) = (s.service.sid, s.bucket.limit, s.bucket.sid);
            Value::text(url(
                view,
                &format!("Services/{service}/RateLimits/{limit}/Buckets/{sid}"),
            ))
        },
    ),
];

static BUCKET: Resource<Shown> = Resource {
    xml: ["VerifyBucket", "VerifyBucket"],
    xml_list: ["VerifyBuckets", "VerifyBuckets"],
    json_list: ["buckets", "buckets"],
    xml_envelope: [true, true],
    fields: BUCKET_FIELDS,
};

const LIMITS: &[&str] = &["/Services/{service}/RateLimits"];
const LIMIT_PATH: &[&str] = &["/Services/{service}/RateLimits/{limit}"];
const BUCKETS: &[&str] = &["/Services/{service}/RateLimits/{limit}/Buckets"];
const BUCKET_PATH: &[&str] = &["/Services/{service}/RateLimits/{limit}/Buckets/{bucket}"];

/// The routes of limits.
pub(super) static ROUTES: &[Route] = &[
    Route::get(LIMITS, |c, a, service| Box::pin(list(c, a, service)))
        .needs(Action::Read, KIND)
        .params(&[TWILIO_PAGING])
        .answers(Answers::Page(&LIMIT))
        .doc("Lists the limits of a service."),
    Route::post(LIMITS, |c, a, service| Box::pin(create(c, a, service)))
        .needs(Action::Create, KIND)
        .params(&[NAME, DESCRIPTION])
        .answers(Answers::One(&LIMIT))
        .status([200, 201])
        .doc("Adds a limit, which has an effect when it has buckets. A service has at most ten."),
    Route::get(LIMIT_PATH, |c, a, path| Box::pin(get(c, a, path)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&LIMIT))
        .doc("Reads a limit."),
    Route::post(LIMIT_PATH, |c, a, path| Box::pin(update(c, a, path)))
        .needs(Action::Modify, KIND)
        .params(&[DESCRIPTION])
        .answers(Answers::One(&LIMIT))
        .doc("Changes the description of a limit."),
    Route::delete(LIMIT_PATH, |c, a, path| Box::pin(delete(c, a, path)))
        .needs(Action::Delete, KIND)
        .doc("Deletes a limit with its buckets."),
    Route::get(BUCKETS, |c, a, path| Box::pin(list_buckets(c, a, path)))
        .needs(Action::Read, KIND)
        .params(&[TWILIO_PAGING])
        .answers(Answers::Page(&BUCKET))
        .doc("Lists the buckets of a limit."),
    Route::post(BUCKETS, |c, a, path| Box::pin(create_bucket(c, a, path)))
        .needs(Action::Create, KIND)
        .params(&[NEW_BUCKET])
        .answers(Answers::One(&BUCKET))
        .status([200, 201])
        .doc("Adds a bucket; a limit can have at most ten. A code is sent only if all of them have room."),
    Route::get(BUCKET_PATH, |c, a, path| Box::pin(get_bucket(c, a, path)))
        .needs(Action::Read, KIND)
        .answers(Answers::One(&BUCKET))
        .doc("Reads a bucket."),
    Route::post(BUCKET_PATH, |c, a, path| Box::pin(update_bucket(c, a, path)))
        .needs(Action::Modify, KIND)
        .params(&[BUCKET_CHANGES])
        .answers(Answers::One(&BUCKET))
        .doc("Changes a bucket."),
    Route::delete(BUCKET_PATH, |c, a, path| Box::pin(delete_bucket(c, a, path)))
        .needs(Action::Delete, KIND)
        .doc("Deletes a bucket."),
];

const NAME: &[Param] = &[param(
    "UniqueName",
    Is::Text,
    "The name in `RateLimits`, such as `end_user_ip`; unique in the service.",
)
.required()];
const DESCRIPTION: &[Param] = &[param(
    "Description",
    Is::Text,
    "Human-readable description.",
)];
const NEW_BUCKET: &[Param] = &[
    param(
        "Max",
        Is::Number,
        "Codes for one value within a period, from 1 to 1000000.",
    )
    .required(),
    param(
        "Interval",
        Is::Number,
        "The period in seconds, from 1 to 2592000.",
    )
    .required(),
];
const BUCKET_CHANGES: &[Param] = &[
    param(
        "Max",
        Is::Number,
        "Codes for one value within a period, from 1 to 1000000.",
    ),
    param(
        "Interval",
        Is::Number,
        "The period in seconds, from 1 to 2592000.",
    ),
];

/// The service and the limit that a path names, and what follows.
async fn limit_of(
    context: &Context<'_>,
    account: &Account,
    path: &str,
) -> Result<(Service, RateLimit, String), Failure> {
    let mut parts = path.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default();
    let service = service_of(context, account, next()).await?;
    let sid: VerifyLimitSid = next().parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.verify_limit(sid).await?;
    let found = found.filter(|limit| limit.service == service.sid);
    let limit = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok((service, limit, next().to_owned()))
}

async fn list(context: &Context<'_>, account: &Account, service: &str) -> Answer {
    let service = service_of(context, account, service).await?;
    let page = Page::read(context)?;
    let rows = context
        .state
        .store
        .verify_limits(&service, &page.window())
        .await?;
    let path = format!("/Services/{}/RateLimits", service.sid);
    page.show(context, &LIMIT, &path, rows, |limit| {
        row_key(limit.created, limit.sid)
    })
}

async fn create(context: &Context<'_>, account: &Account, service: &str) -> Answer {
    let service = service_of(context, account, service).await?;
    let store = &context.state.store;
    let there = store
        .verify_limits(&service, &store::Window::at(0, 1))
        .await?
        .total;
    if there >= MAX_LIMITS {
        let text = format!("the service has {MAX_LIMITS} limits; delete one");
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    let now = now();
    let limit = RateLimit {
        sid: VerifyLimitSid::new(now, rand::random()),
        account: account.sid,
        service: service.sid,
        name: context.params.name("UniqueName")?.unwrap_or_default(),
        description: context
            .params
            .get("Description")
            .unwrap_or_default()
            .to_owned(),
        created: now,
        updated: now,
    };
    store.insert_verify_limit(limit.clone()).await?;
    Ok(context.show(&LIMIT, &limit))
}

async fn get(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let (_, limit, _) = limit_of(context, account, path).await?;
    Ok(context.show(&LIMIT, &limit))
}

async fn update(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let (_, mut limit, _) = limit_of(context, account, path).await?;
        if let Some(text) = context.params.get("Description") {
            limit.description = text.to_owned();
        }
        let read = limit.updated;
        limit.updated = after(read);
        if context
            .state
            .store
            .update_verify_limit(limit.clone(), read)
            .await?
        {
            return Ok(context.show(&LIMIT, &limit));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let (_, limit, _) = limit_of(context, account, path).await?;
    context.state.store.delete_verify_limit(limit.sid).await?;
    Ok(Reply::Nothing)
}

async fn bucket_of(context: &Context<'_>, account: &Account, path: &str) -> Result<Shown, Failure> {
    let (service, limit, sid) = limit_of(context, account, path).await?;
    let sid: VerifyBucketSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.verify_bucket(sid).await?;
    let found = found.filter(|bucket| bucket.limit == limit.sid);
    let bucket = owned(account, found).ok_or_else(Failure::not_found)?;
    Ok(Shown { bucket, service })
}

async fn list_buckets(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let (service, limit, _) = limit_of(context, account, path).await?;
    let page = Page::read(context)?;
    let rows = context
        .state
        .store
        .verify_buckets(&limit, &page.window())
        .await?;
    let shown = |bucket| Shown {
        bucket,
        service: service.clone(),
    };
    let rows = store::Rows {
        items: rows.items.into_iter().map(shown).collect(),
        total: rows.total,
    };
    let path = format!("/Services/{}/RateLimits/{}/Buckets", service.sid, limit.sid);
    page.show(context, &BUCKET, &path, rows, |shown| {
        row_key(shown.bucket.created, shown.bucket.sid)
    })
}

fn change(context: &Context<'_>, bucket: &mut Bucket) -> Result<(), Failure> {
    for (name, place, most) in [
        ("Max", &mut bucket.max, 1_000_000),
        ("Interval", &mut bucket.period_s, 2_592_000),
    ] {
        let Some(value) = context.params.parsed::<i64>(name, "a whole number")? else {
            continue;
        };
        if !(1..=most).contains(&value) {
            return Err(Failure::parameter(
                name,
                &format!("it must be from 1 to {most}"),
            ));
        }
        *place = value;
    }
    Ok(())
}

async fn create_bucket(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let (service, limit, _) = limit_of(context, account, path).await?;
    let store = &context.state.store;
    let there = store
        .verify_buckets(&limit, &store::Window::at(0, 1))
        .await?
        .total;
    if there >= MAX_LIMITS {
        let text = format!("the limit has {MAX_LIMITS} buckets; delete one");
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    let now = now();
    let mut bucket = Bucket {
        sid: VerifyBucketSid::new(now, rand::random()),
        account: account.sid,
        limit: limit.sid,
        max: 1,
        period_s: 1,
        created: now,
        updated: now,
    };
    change(context, &mut bucket)?;
    store.insert_verify_bucket(bucket.clone()).await?;
    Ok(context.show(&BUCKET, &Shown { bucket, service }))
}

async fn get_bucket(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let shown = bucket_of(context, account, path).await?;
    Ok(context.show(&BUCKET, &shown))
}

async fn update_bucket(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut shown = bucket_of(context, account, path).await?;
        change(context, &mut shown.bucket)?;
        let read = shown.bucket.updated;
        shown.bucket.updated = after(read);
        if context
            .state
            .store
            .update_verify_bucket(shown.bucket.clone(), read)
            .await?
        {
            return Ok(context.show(&BUCKET, &shown));
        }
    }
    Err(Failure::contended())
}

async fn delete_bucket(context: &Context<'_>, account: &Account, path: &str) -> Answer {
    let shown = bucket_of(context, account, path).await?;
    context
        .state
        .store
        .delete_verify_bucket(shown.bucket.sid)
        .await?;
    Ok(Reply::Nothing)
}
