//! `/Accounts/{sid}/Geolocation`: records about where devices are.
//!
//! No location service is connected, so a record holds what the requests say. **Invariant: its status is final**, and
//! `failed` unless the requests say where the device is.

use model::geolocation::{Geolocation, GeolocationKind, GeolocationStatus, is_angle};
use model::record::Account;
use model::{GeolocationSid, Timestamp, error};

use crate::context::{ATTEMPTS, Answer, Context, Reply, after, now, owned};
use crate::failure::Failure;
use crate::params::shown;
use crate::roles::Action;
use crate::route::{Answers, Is, Param, RESTCOMM, Route, param};
use crate::value::{Entry, Field, Kind, Null, Resource, Value, field};

/// Maximum number of records of an account.
const MAX_RECORDS: i64 = 10_000;
const TARGET: &str = "Geolocation";

/// What a value must be.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Whole,
    Latitude,
    Longitude,
    Time,
    Word(&'static [&'static str]),
}

/// A value that requests can send.
struct Property {
    param: &'static str,
    /// Its name in JSON, if it is shown in `geolocation_data`.
    json: &'static str,
    form: Form,
}

const fn property(param: &'static str, json: &'static str, form: Form) -> Property {
    Property { param, json, form }
}

const PROPERTIES: &[Property] = &[
    property("DeviceIdentifier", "", Form::Text),
    property("StatusCallback", "", Form::Text),
    property("Source", "", Form::Text),
    property("GeolocationPositioningType", "", Form::Text),
    property("LastGeolocationResponse", "", Form::Text),
    property("CellId", "cell_id", Form::Text),
    property("LocationAreaCode", "location_area_code", Form::Text),
    property("MobileCountryCode", "mobile_country_code", Form::Whole),
    property("MobileNetworkCode", "mobile_network_code", Form::Text),
    property(
        "NetworkEntityAddress",
        "network_entity_address",
        Form::Whole,
    ),
    property("LocationAge", "location_age", Form::Whole),
    property("DeviceLatitude", "device_latitude", Form::Latitude),
    property("DeviceLongitude", "device_longitude", Form::Longitude),
    property("Accuracy", "accuracy", Form::Whole),
    property("InternetAddress", "internet_address", Form::Text),
    property("PhysicalAddress", "physical_address", Form::Text),
    property("FormattedAddress", "formatted_address", Form::Text),
    property("LocationTimestamp", "location_timestamp", Form::Time),
    property(
        "EventGeofenceLatitude",
        "event_geofence_latitude",
        Form::Latitude,
    ),
    property(
        "EventGeofenceLongitude",
        "event_geofence_longitude",
        Form::Longitude,
    ),
    property("GeofenceRange", "geofence_range", Form::Whole),
    property(
        "GeofenceEvent",
        "geofence_event",
        Form::Word(&["in", "out", "in-out"]),
    ),
    property(
        "DesiredAccuracy",
        "desired_accuracy",
        Form::Word(&["high", "average", "low"]),
    ),
    property("Radius", "radius", Form::Text),
];

/// What only a notification has.
const GEOFENCE: [&str; 4] = [
    "GeofenceEvent",
    "EventGeofenceLatitude",
    "EventGeofenceLongitude",
    "GeofenceRange",
];

const FIELDS: &[Field<Geolocation>] = &[
    field(
        "sid",
        "Sid",
        Kind::Text,
        Null::Never,
        "Identifier.",
        |g, _| Value::text(g.sid),
    ),
    field(
        "date_created",
        "DateCreated",
        Kind::Date,
        Null::Never,
        "When it was created.",
        |g, _| Value::Date(g.created),
    ),
    field(
        "date_updated",
        "DateUpdated",
        Kind::Date,
        Null::Never,
        "When it was last changed.",
        |g, _| Value::Date(g.updated),
    ),
    field(
        "date_executed",
        "DateExecuted",
        Kind::Date,
        Null::Never,
        "When its outcome was decided.",
        |g, _| Value::Date(g.updated),
    ),
    field(
        "account_sid",
        "AccountSid",
        Kind::Text,
        Null::Never,
        "Account.",
        |g, _| Value::text(g.account),
    ),
    field(
        "source",
        "Source",
        Kind::Text,
        Null::Absent,
        "Who reports it.",
        |g, _| sent(g, "Source"),
    ),
    field(
        "device_identifier",
        "DeviceIdentifier",
        Kind::Text,
        Null::Absent,
        "Number or other name of the device.",
        |g, _| sent(g, "DeviceIdentifier"),
    ),
    field(
        "geolocation_type",
        "GeolocationType",
        Kind::Text,
        Null::Never,
        "`Immediate` or `Notification`.",
        |g, _| Value::text(g.kind),
    ),
    field(
        "response_status",
        "ResponseStatus",
        Kind::Text,
        Null::Never,
        "The outcome: `successful` if the requests say where the device is, `failed` if not or if a value is wrong, or what a request says.",
        |g, _| Value::text(g.status),
    ),
    field(
        "geolocation_data",
        "GeolocationData",
        Kind::Object,
        Null::Never,
        "What the requests say about the place, as sent: `cell_id`, `device_latitude`, `event_geofence_latitude` and so on, named like the parameters.",
        |g, _| Value::Object(data(g)),
    ),
    field(
        "geolocation_positioning_type",
        "GeolocationPositioningType",
        Kind::Text,
        Null::Absent,
        "How the place was found.",
        |g, _| sent(g, "GeolocationPositioningType"),
    ),
    field(
        "last_geolocation_response",
        "LastGeolocationResponse",
        Kind::Text,
        Null::Absent,
        "As sent.",
        |g, _| sent(g, "LastGeolocationResponse"),
    ),
    field(
        "status_callback",
        "StatusCallback",
        Kind::Text,
        Null::Absent,
        "As sent; it is not called, because the outcome is in the answer.",
        |g, _| sent(g, "StatusCallback"),
    ),
    field(
        "cause",
        "Cause",
        Kind::Text,
        Null::Absent,
        "Why it failed, or what a request says.",
        |g, _| Value::maybe(g.cause.as_ref()),
    ),
    field(
        "api_version",
        "ApiVersion",
        Kind::Text,
        Null::Never,
        "Version of the API.",
        |_, view| Value::text(view.dialect.version),
    ),
    field(
        "uri",
        "Uri",
        Kind::Link,
        Null::Never,
        "Path of this resource.",
        |g, view| {
            let Geolocation {
                account, kind, sid, ..
            } = g;
            let base = view.dialect.link_base;
            Value::Link(format!("{base}/Accounts/{account}/{TARGET}/{kind}/{sid}"))
        },
    ),
];

fn sent(geolocation: &Geolocation, param: &str) -> Value {
    Value::maybe(geolocation.values.get(param))
}

fn data(geolocation: &Geolocation) -> Vec<Entry> {
    let shown = PROPERTIES
        .iter()
        .filter(|property| !property.json.is_empty());
    let entry = |property: &'static Property| {
        let value = geolocation.values.get(property.param)?;
        Some(Entry {
            json: property.json,
            xml: property.param,
            null: Null::Absent,
            value: match (property.form, value.parse()) {
                (Form::Whole, Ok(number)) => Value::Number(number),
                _ => Value::text(value),
            },
        })
    };
    shown.filter_map(entry).collect()
}

static GEOLOCATION: Resource<Geolocation> = Resource {
    xml: ["Geolocation", "Geolocation"],
    xml_list: ["Geolocations", "Geolocations"],
    json_list: ["geolocations", "geolocations"],
    xml_envelope: [false, false],
    fields: FIELDS,
};

const LIST: &[&str] = &["/Accounts/{account}/Geolocation"];
const IMMEDIATE: &[&str] = &["/Accounts/{account}/Geolocation/Immediate"];
const NOTIFICATION: &[&str] = &["/Accounts/{account}/Geolocation/Notification"];
const ONE: &[&str] = &[
    "/Accounts/{account}/Geolocation/Immediate/{sid}",
    "/Accounts/{account}/Geolocation/Notification/{sid}",
];

/// The routes of geolocation.
pub(crate) static ROUTES: &[Route] = &[
    Route::get(LIST, |c, a, _| Box::pin(list(c, a)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .answers(Answers::All(&GEOLOCATION))
        .doc("Lists the records of an account, the newest first."),
    Route::post(IMMEDIATE, |c, a, _| {
        Box::pin(create(c, a, GeolocationKind::Immediate))
    })
    .within(RESTCOMM)
    .needs(Action::Create, TARGET)
    .params(&[REQUIRED, OPTIONAL, FENCE])
    .answers(Answers::One(&GEOLOCATION))
    .doc("Adds a record about where a device is; an account can have at most 10,000 records. The parameters of a geofence are refused."),
    Route::post(NOTIFICATION, |c, a, _| {
        Box::pin(create(c, a, GeolocationKind::Notification))
    })
    .within(RESTCOMM)
    .needs(Action::Create, TARGET)
    .params(&[REQUIRED, OPTIONAL, FENCE])
    .answers(Answers::One(&GEOLOCATION))
    .doc("Adds a record about a device and an area; the parameters of a geofence are required. Devices are not watched."),
    Route::get(ONE, |c, a, sid| Box::pin(get(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Read, TARGET)
        .answers(Answers::One(&GEOLOCATION))
        .doc("Reads a record; either word in the path finds it."),
    Route::post(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .params(&[CHANGED, OPTIONAL, FENCE])
        .answers(Answers::One(&GEOLOCATION))
        .doc("Changes a record; parameters that are not sent keep their values."),
    Route::put(ONE, |c, a, sid| Box::pin(update(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Modify, TARGET)
        .params(&[CHANGED, OPTIONAL, FENCE])
        .answers(Answers::One(&GEOLOCATION))
        .doc("Changes a record."),
    Route::delete(ONE, |c, a, sid| Box::pin(delete(c, a, sid)))
        .within(RESTCOMM)
        .needs(Action::Delete, TARGET)
        .doc("Deletes a record."),
];

const DEVICE: Param = param(
    "DeviceIdentifier",
    Is::Party,
    "Number or other name of the device.",
);
const CALLBACK: Param = param(
    "StatusCallback",
    Is::Address,
    "Address for reports. It is stored and not called, because the outcome is in the answer.",
);
const REQUIRED: &[Param] = &[DEVICE.required(), CALLBACK.required()];
const CHANGED: &[Param] = &[DEVICE, CALLBACK];

const FENCE: &[Param] = &[
    param(
        "GeofenceEvent",
        Is::Text,
        "`in`, `out` or `in-out`. This and the next three are required of a notification, and refused otherwise.",
    ),
    param(
        "EventGeofenceLatitude",
        Is::Text,
        "Latitude of the middle of the area, written like `DeviceLatitude`.",
    ),
    param(
        "EventGeofenceLongitude",
        Is::Text,
        "Longitude of the middle of the area.",
    ),
    param("GeofenceRange", Is::Text, "Size of the area, in metres."),
];

const OPTIONAL: &[Param] = &[
    param(
        "DeviceLatitude",
        Is::Text,
        "Latitude of the device: `-43.65`, or `43 38 19.39 S`. An invalid value makes the record `failed`, as does an invalid value of any parameter below.",
    ),
    param("DeviceLongitude", Is::Text, "Longitude of the device."),
    param(
        "LocationTimestamp",
        Is::Text,
        "When the device was at that place: a day or a time.",
    ),
    param("DesiredAccuracy", Is::Text, "`High`, `Average` or `Low`."),
    param(
        "ResponseStatus",
        Is::Text,
        "The outcome, in place of the one that the server decides. With `rejected`, the record is returned, but not stored.",
    ),
    param(
        "Cause",
        Is::Text,
        "Reason for the outcome, in place of the one that the server gives.",
    ),
    param("Source", Is::Text, "Who reports it."),
    param("CellId", Is::Text, "Cell."),
    param("LocationAreaCode", Is::Text, "Location area."),
    param(
        "MobileCountryCode",
        Is::Text,
        "Country of the network; a whole number.",
    ),
    param("MobileNetworkCode", Is::Text, "Network."),
    param(
        "NetworkEntityAddress",
        Is::Text,
        "Address of the network's register; a whole number.",
    ),
    param(
        "LocationAge",
        Is::Text,
        "Age of the location data; a whole number.",
    ),
    param("Accuracy", Is::Text, "A whole number."),
    param("PhysicalAddress", Is::Text, "Address of the device."),
    param("InternetAddress", Is::Text, "IP address of the device."),
    param("FormattedAddress", Is::Text, "Postal address."),
    param(
        "Radius",
        Is::Text,
        "How far around the place the device may be.",
    ),
    param(
        "GeolocationPositioningType",
        Is::Text,
        "How the place was found.",
    ),
    param("LastGeolocationResponse", Is::Text, "Stored as sent."),
    param("ApiVersion", Is::Text, "Has no effect."),
];

async fn list(context: &Context<'_>, account: &Account) -> Answer {
    let records = context.state.store.geolocations(account.sid).await?;
    Ok(context.bare(&GEOLOCATION, &records))
}

async fn find(context: &Context<'_>, account: &Account, sid: &str) -> Result<Geolocation, Failure> {
    let sid: GeolocationSid = sid.parse().map_err(|_| Failure::not_found())?;
    let found = context.state.store.geolocation(sid).await?;
    owned(account, found).ok_or_else(Failure::not_found)
}

async fn get(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let geolocation = find(context, account, sid).await?;
    Ok(context.show(&GEOLOCATION, &geolocation))
}

async fn create(context: &Context<'_>, account: &Account, kind: GeolocationKind) -> Answer {
    let now = now();
    let mut geolocation = Geolocation {
        sid: GeolocationSid::new(now, rand::random()),
        account: account.sid,
        kind,
        values: std::collections::BTreeMap::new(),
        status: GeolocationStatus::Failed,
        cause: None,
        created: now,
        updated: now,
    };
    if kind == GeolocationKind::Notification {
        for name in GEOFENCE {
            context.params.required(name)?;
        }
    }
    change(context, &mut geolocation)?;
    let store = &context.state.store;
    let kept = geolocation.status != GeolocationStatus::Rejected;
    if kept && !store.insert_geolocation(&geolocation, MAX_RECORDS).await? {
        let text = format!(
            "the account has {MAX_RECORDS} records; delete those that are not needed any more"
        );
        return Err(Failure::of(error::CONFLICT).saying(text));
    }
    Ok(context.show(&GEOLOCATION, &geolocation))
}

/// Applies the parameters that were sent, and decides the outcome.
fn change(context: &Context<'_>, geolocation: &mut Geolocation) -> Result<(), Failure> {
    let params = &context.params;
    if geolocation.kind == GeolocationKind::Immediate
        && let Some(name) = GEOFENCE.into_iter().find(|name| params.get(name).is_some())
    {
        let reason = "it belongs to `Geolocation/Notification`";
        return Err(Failure::parameter(name, reason));
    }
    for name in ["DeviceIdentifier", "StatusCallback"] {
        if params.get(name).is_some() {
            params.required(name)?;
        }
    }
    params.address("StatusCallback")?;
    context.warn_unused(&["ApiVersion"], "another version of the API");
    for property in PROPERTIES {
        if let Some(value) = params.get(property.param) {
            let name = property.param.to_owned();
            match value.trim() {
                "" => geolocation.values.remove(&name),
                value => geolocation.values.insert(name, value.to_owned()),
            };
        }
    }
    let (status, cause) = outcome(geolocation, params.filled("ResponseStatus"));
    geolocation.status = status;
    geolocation.cause = params.filled("Cause").map(str::to_owned).or(cause);
    Ok(())
}

/// The outcome of a record, and its reason.
///
/// - `said`: the outcome that the request names
fn outcome(geolocation: &Geolocation, said: Option<&str>) -> (GeolocationStatus, Option<String>) {
    let failed = |cause: String| (GeolocationStatus::Failed, Some(cause));
    let values = &geolocation.values;
    for Property { param, form, .. } in PROPERTIES {
        if let Some(value) = values.get(*param)
            && let Err(wanted) = form.check(value)
        {
            return failed(format!("{param}: `{}` is not {wanted}", shown(value)));
        }
    }
    if let Some(said) = said {
        return match said.parse() {
            Ok(status) => (status, None),
            Err(_) => {
                let known = GeolocationStatus::WORDS.join(", ");
                failed(format!(
                    "ResponseStatus: `{}` is not one of {known}",
                    shown(said)
                ))
            }
        };
    }
    let is_located = ["DeviceLatitude", "DeviceLongitude"]
        .iter()
        .all(|name| values.contains_key(*name));
    match geolocation.kind {
        GeolocationKind::Immediate if is_located => (GeolocationStatus::Successful, None),
        GeolocationKind::Immediate => {
            failed("the device cannot be located: no location service is connected".to_owned())
        }
        GeolocationKind::Notification => {
            failed("the device cannot be watched: no location service is connected".to_owned())
        }
    }
}

impl Form {
    /// # Errors
    /// What the value should be.
    fn check(self, value: &str) -> Result<(), String> {
        let (good, wanted) = match self {
            Self::Text => return Ok(()),
            Self::Whole => (value.parse::<i64>().is_ok(), "a whole number"),
            Self::Latitude => (is_angle(value, ['N', 'S'], 90.0), "a latitude"),
            Self::Longitude => (is_angle(value, ['E', 'W'], 180.0), "a longitude"),
            Self::Time => {
                let time = Timestamp::from_rfc3339(value).or_else(|| Timestamp::from_day(value));
                (time.is_some(), "a day or a time")
            }
            Self::Word(words) => {
                let known = words.iter().any(|word| word.eq_ignore_ascii_case(value));
                if known {
                    return Ok(());
                }
                return Err(format!("one of {}", words.join(", ")));
            }
        };
        if good { Ok(()) } else { Err(wanted.to_owned()) }
    }
}

async fn update(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    for _ in 0..ATTEMPTS {
        let mut geolocation = find(context, account, sid).await?;
        change(context, &mut geolocation)?;
        let read = geolocation.updated;
        geolocation.updated = after(read);
        let store = &context.state.store;
        if geolocation.status == GeolocationStatus::Rejected {
            store.delete_geolocation(geolocation.sid).await?;
            return Ok(context.show(&GEOLOCATION, &geolocation));
        }
        if store.update_geolocation(&geolocation, read).await? {
            return Ok(context.show(&GEOLOCATION, &geolocation));
        }
    }
    Err(Failure::contended())
}

async fn delete(context: &Context<'_>, account: &Account, sid: &str) -> Answer {
    let geolocation = find(context, account, sid).await?;
    let store = &context.state.store;
    store.delete_geolocation(geolocation.sid).await?;
    Ok(Reply::Nothing)
}
