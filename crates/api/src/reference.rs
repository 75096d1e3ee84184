//! `docs/rest.md`: every resource with its methods, parameters and fields.
//!
//! **Invariant: everything supported is read from the tables** of routes, parameters, fields and
//! errors; only introductions, examples and the list of unsupported features are written by hand. A
//! test runs the examples.

use std::fmt::Write as _;

use model::error;

use crate::dialect::{DIALECTS, RestDialect};
use crate::resources::{
    accounts, applications, audit, available, caller_ids, calls, clients, conferences, deliveries,
    keys, messages, notifications, numbers, queues, recordings, tokens, transcriptions, usage,
    version,
};
use crate::route::{Answers, Is, Param, Route, Verb};
use crate::value::{Kind, Shape};

/// A request that works as written.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Path below the account, without `.json`; empty for the account itself.
    pub path: &'static str,
    /// Parameters as sent.
    pub form: &'static [&'static str],
    /// What it needs before it works; empty for nothing.
    pub needs: &'static str,
}

impl Example {
    const fn needing(self, needs: &'static str) -> Self {
        Self { needs, ..self }
    }
}

/// One resource.
struct Section {
    title: &'static str,
    about: &'static str,
    routes: &'static [Route],
    example: Example,
}

const fn get(path: &'static str) -> Example {
    Example {
        method: "GET",
        path,
        form: &[],
        needs: "",
    }
}

const fn post(path: &'static str, form: &'static [&'static str]) -> Example {
    Example {
        method: "POST",
        path,
        form,
        needs: "",
    }
}

static SECTIONS: &[Section] = &[
    Section {
        title: "Numbers",
        about: "A number and the document that answers calls to it. It is bought from the provider (numbers.md), or it is one \
                of your own: at the Restcomm base, send `isSIP=true`. Such a number may be a pattern such as `+1555[0-9]*`, \
                or `*` for every number that has no entry of its own. Callers that are neither trunks nor \
                authenticated clients reach only numbers with `Public=true`.",
        routes: numbers::ROUTES,
        example: post(
            "/IncomingPhoneNumbers",
            &[
                "PhoneNumber=1000",
                "isSIP=true",
                "VoiceUrl=http://127.0.0.1:8000/hello.xml",
                "VoiceMethod=GET",
            ],
        ),
    },
    Section {
        title: "Available numbers",
        about: "Numbers for sale, from the operator's inventory or a carrier: numbers.md describes both. To buy one, POST it to \
                `IncomingPhoneNumbers`.",
        routes: available::ROUTES,
        example: get("/AvailablePhoneNumbers/US/Local"),
    },
    Section {
        title: "Outgoing caller IDs",
        about: "Numbers that an account has shown to be its own. They are kept for programs that manage them: any `From` or \
                `callerId` may be used without being here. At the Twilio base, a POST calls the number and asks for a code; \
                the server must be able to reach itself at its own address (`server.http`, `server.public_address`).",
        routes: caller_ids::ROUTES,
        example: post(
            "/OutgoingCallerIds",
            &["PhoneNumber=%2B15015550100", "FriendlyName=desk"],
        ),
    },
    Section {
        title: "Clients",
        about: "SIP users. A phone registers with the login and password of a client, and is called as `client:LOGIN`. \
                Creating a client that the account already has changes nothing, not even the password: at the \
                Restcomm base, the response shows the existing client and has a `Patchcord-Warning`; the Twilio base refuses \
                the request. To change a client, POST to its `uri`.",
        routes: clients::ROUTES,
        example: post("/Clients", &["Login=alice", "Password=Kp7vRt2mXq"]),
    },
    Section {
        title: "Applications",
        about: "A document address that several numbers and clients can share.",
        routes: applications::ROUTES,
        example: post(
            "/Applications",
            &[
                "FriendlyName=menu",
                "RcmlUrl=http://127.0.0.1:8000/menu.xml",
                "Kind=voice",
            ],
        ),
    },
    Section {
        title: "Calls",
        about: "Call legs, live and past. A call to a client rings all its phones, each as a leg of its own. At the \
                Restcomm base the response is then a list if the client has more than one phone, otherwise the call \
                itself. `Url` must be an absolute address.",
        routes: calls::ROUTES,
        example: post(
            "/Calls",
            &[
                "From=1000",
                "To=client:alice",
                "Url=http://127.0.0.1:8000/hello.xml",
                "Method=GET",
            ],
        )
        .needing("alice's phone must be registered."),
    },
    Section {
        title: "Conferences",
        about: "Conferences that documents opened with `<Conference>`, live and past, and the calls that are in them. A \
                participant is named by the SID of its call or by its label (`participantLabel`, `Label`); if several have the same, that means the one that joined last. A request that \
                changes a conference must go to the server that runs it.",
        routes: conferences::ROUTES,
        example: get("/Conferences"),
    },
    Section {
        title: "Queues",
        about: "Queues in which calls wait (`<Enqueue>`) until others take them (`<Queue>`). A member is named by the SID of \
                its call, or by `Front`, which is the next to be taken.",
        routes: queues::ROUTES,
        example: post("/Queues", &["FriendlyName=support", "MaxSize=20"]),
    },
    Section {
        title: "Text messages",
        about: "Text messages over SIP (MESSAGE), to clients, SIP addresses and, through a trunk, numbers.",
        routes: messages::ROUTES,
        example: post(
            "/SMS/Messages",
            &["From=1000", "To=client:alice", "Body=hello"],
        ),
    },
    Section {
        title: "Recordings",
        about: "The sound file of a recording is at the recording's path with `.wav` appended; ranges can be requested. \
                There are no other formats: `.mp3` is answered with 406 (21480). \
                `file_uri` and `media_url` are links that need no credentials; they expire after \
                `recordings.link_lifetime_s`, if it is set. Once it is set, links made without an expiry no longer work. \
                POST to the `Recordings` of a live call that has been answered starts a recording, whatever the call is doing. POST to a recording \
                below its call or conference (`…/Calls/{call}/Recordings/{sid}`, `…/Conferences/{conference}/Recordings/{sid}`) pauses, \
                continues or ends it, depending on `Status`. Each answer shows the recording with its new `status`. A refusal has a \
                number: 21220 if the call is not live, not answered or already has as many recordings as it can have, 20404 if there is no such \
                recording or none in progress, 21241 if its state does not allow the change.",
        routes: recordings::ROUTES,
        example: get("/Recordings"),
    },
    Section {
        title: "Notifications",
        about: "Errors and warnings about documents, calls, messages and requests, each with its number in errors.md.",
        routes: notifications::ROUTES,
        example: get("/Notifications"),
    },
    Section {
        title: "Callbacks",
        about: "Callbacks sent to applications, or waiting to be sent; webhooks.md describes the delivery.",
        routes: deliveries::ROUTES,
        example: get("/Webhooks/Deliveries"),
    },
    Section {
        title: "Transcriptions",
        about: "Texts of recordings. No verb makes any yet: `transcribe` of `<Record>` is reported as not supported. A transcription is deleted \
                with its recording.",
        routes: transcriptions::ROUTES,
        example: get("/Transcriptions"),
    },
    Section {
        title: "Usage",
        about: "What an account used, in days of UTC: call legs that have ended, text messages that it sent, and recordings. A call counts on \
                the day on which it ended. There are no usage triggers.",
        routes: usage::ROUTES,
        example: get("/Usage/Records/ThisMonth"),
    },
    Section {
        title: "Accounts",
        about: "Accounts form a tree of at most three levels. An account can access itself and those below it; any other \
                account and its resources are refused with 403 at the Restcomm base and with 404 at the Twilio base, whether or not they exist; \
                the top account always gets 404. `Role` is `Administrator`, `Developer` or a role from the configuration (`[[role]]`). An `Administrator` has every permission in the tables, for its own account and \
                those below it. A `Developer` has all of them except `Create:SmsMessages` (sending text messages) and `Delete:Transcriptions`, and cannot \
                change the accounts below it or their tokens, or choose roles. Number patterns and private addresses are reserved for the top \
                account, whatever the role.",
        routes: accounts::ROUTES,
        example: get(""),
    },
    Section {
        title: "Tokens",
        about: "A second token, so that the first can be replaced without interruption.",
        routes: tokens::ROUTES,
        example: post("/AuthTokens/Secondary", &[]),
    },
    Section {
        title: "Keys",
        about: "API keys: credentials that can be given to a program, limited, and withdrawn without changing the token. The user name in HTTP Basic \
                is the SID of the key, and the password its secret. A key has the rights of its account, or less: `Permissions` lists what it permits, as in the \
                tables (`Read:* Create:Calls`). No key can read or change accounts, tokens or keys. Wrong secrets are slowed down like wrong passwords.",
        routes: keys::ROUTES,
        example: post("/Keys", &["FriendlyName=reports", "Permissions=Read:*"]),
    },
    Section {
        title: "Audit log",
        about: "Every change made through the API: which account and key made it, when, from which address, and the resource before and after it, without secrets. \
                Requests that were refused are not in it. Entries are kept for 90 days; of each account, the last 100,000. `patchcord audit list` shows those of all accounts.",
        routes: audit::ROUTES,
        example: get("/AuditLog"),
    },
    Section {
        title: "Version",
        about: "The version of the running server.",
        routes: version::ROUTES,
        example: get("/Version"),
    },
];

const HEAD: &str = "# The REST API

Generated from the server's tables by `just gen`; change it there. [openapi-restcomm.json](openapi-restcomm.json) and
[openapi-twilio.json](openapi-twilio.json) say the same in a form for programs (OpenAPI 3.1), one for each base path. The server shows both at
`/docs`, where GET requests can be tried out; [errors.md](errors.md) lists the numbered errors.

There are two base paths, `/restcomm/2012-04-24` (the Restcomm base) and `/2010-04-01` (the Twilio base). They differ in
names, formats and details, so that programs written for either one work. A row that names neither applies to both. A document runs
in the dialect of the base path below which its address was set. Links in responses leave out `/restcomm`; they can be requested as
they are.

- **Credentials**: HTTP Basic, with the SID or e-mail address of an account and its token or password, or with the SID and secret of an
  [API key](#keys).
- **Account in the path**: its SID, e-mail address or friendly name.
- **Responses**: JSON if the path ends with `.json` or `Accept` names JSON, XML otherwise.
- **Parameters**: in the query of GET and DELETE, as a form (`curl -d Name=value`) in POST and PUT; at most 300, and
  256 KiB. Escape a `+` as `%2B`; an unescaped one in front of a number is accepted too. In an address, escape the `>` and `<` of filters such as `StartTime>` as `%3E` and `%3C`.
- **Unknown parameters** are ignored at the Restcomm base, with a warning (20001), and refused at the Twilio base.
- **Warnings** about a request that was carried out are in `Patchcord-Warning` headers of the response (`curl -i`). For programs that
  do not show headers, each is also stored, at most once an hour, as a notification of the account
  (`patchcord notifications list`).
- **Permissions**: the tables give the permission that each request needs, as `Action:Kind`. It depends on the role of the account whose
  credentials are used; [Accounts](#accounts) describes the roles.
- **The top account** is the one whose credentials are in `admin-credentials`; all other accounts are below it.
- **Lists** whose table below has `PageSize` are paged: follow `next_page_uri` to read all pages. On the last page it is the text `null`
  at the Restcomm base, as with Restcomm itself. `num_pages` is the number of the last page, counted from 0; if the rows fill the pages
  exactly, the last page is empty. At the Restcomm base, clients, applications, accounts and the recordings of a call are returned
  whole; in JSON, they are an array without page fields.
- **Repeated requests**: a POST with an `Idempotency-Key` (any text of up to 255 characters, new for each request) is carried out only once. If it
  is sent again within 24 hours, to the same path with the same parameters, by the same account or API key, the response is that of the first
  one, with the header `Idempotent-Replayed: true`. With other parameters it is refused with 422 (20422), and while the first one
  is not answered yet, with 409 (20423): send it again a second later. If the first request itself was refused (any status except 2xx and 500), it changed nothing, and its key can be used again. If the server was
  killed during the first request, it is not known whether it was carried out; 409 then says so. Of each account, the last 20,000 responses are kept.
- **ETags**: a GET of a single resource has an `ETag`. With `If-None-Match: ETAG`, the response is 304 without a body if nothing has changed.
  A change or DELETE with `If-Match: ETAG` is refused with 412 (20424) if the resource has changed since, so that no other change is
  overwritten. ETags differ between JSON and XML, and between the base paths. The server compares and changes in two steps: a change that a call itself, or
  another server with the same database, makes in between is not noticed.
- **Number of requests**: limited per minute for each account, and for each of its credentials ([config.md](config.md), `http`). `RateLimit-Limit`,
  `RateLimit-Remaining` and `RateLimit-Reset` (seconds) describe the limit that is reached first, `RateLimit-Policy` all of them. A request
  above the limit is refused with 429 (20429) and `Retry-After`.
- **Request identifiers**: each response has one, in `X-Request-Id` and `Twilio-Request-Id`; lines of the log about the request have it too.

The examples below need three variables:

    . patchcord-data/admin-credentials
    SID=$PATCHCORD_ADMIN_SID TOKEN=$PATCHCORD_ADMIN_TOKEN
    BASE=http://127.0.0.1:8080/restcomm/2012-04-24/Accounts/$SID
";

const MISSING: &str = "
## What is missing

Of Restcomm's API: `Email/Messages`, `Faxes`, `Gateways`, `Geolocation`, `Announcements`,
`OutboundProxy` (trunks are in the configuration file), `Organizations` and `Profiles`,
`Registrations`, `ShortCodes`, `Supervisor`, `ExtensionsConfiguration`; of `Calls`,
muting one that is not in a conference.

Of Twilio's API: everything outside `/2010-04-01` (Studio, Verify, TaskRouter and the like), `Messages/Media`, `Addresses`, `SigningKeys`, `SIP`,
`Usage/Triggers`, `Balance`; of `Calls`, the parameters that [twilio.md](twilio.md#what-is-missing) lists; of `Messages`,
media, scheduling and messaging services. At `/2010-04-01`, a parameter that is not listed above is refused.

At both base paths, the addresses of documents for text messages and USSD are stored but not requested,
`VoiceCallerIdLookup` is stored but has no effect, and prices are not calculated.
";

/// The reference as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n## Statuses\n\n| status | number | when |\n|---|---|---|\n");
    let mut rows: Vec<_> = error::TABLE
        .iter()
        .filter(|row| row.http_status > 0)
        .collect();
    rows.sort_by_key(|row| (row.http_status, row.code));
    for row in rows {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "| {} | {} | {}{} |",
            row.http_status,
            row.code,
            cell(row.text),
            other_statuses(row)
        );
    }
    out.push_str(
        "\nAt `/restcomm/2012-04-24`, changing a call that does not exist, or belongs to another account, is answered with 406 (20404).\n\
         In addition, 503 (20429, 12400) means that the server is stopping or cannot use its database; try again later.\n",
    );
    for section in SECTIONS {
        section.write(&mut out);
    }
    out.push_str(MISSING);
    out
}

/// The statuses that dialects use instead for an error of the same number.
fn other_statuses(row: &error::ErrorEntry) -> String {
    let mut out = String::new();
    for dialect in RestDialect::MAIN {
        let from = (row.code, row.http_status);
        let rule = dialect.errors.iter().find(|rule| rule.from == from);
        if let Some((code, status)) = rule.map(|rule| rule.to)
            && code == row.code
            && status != row.http_status
        {
            let _ = write!(out, " At `{}`, the status is {status}.", dialect.base);
        }
    }
    out
}

/// The examples of all resources.
#[must_use]
pub fn examples() -> Vec<Example> {
    SECTIONS.iter().map(|section| section.example).collect()
}

impl Section {
    fn write(&self, out: &mut String) {
        let _ = write!(out, "\n## {}\n\n{}\n\n", self.title, self.about);
        let _ = writeln!(out, "    {}\n", command(self.example));
        if !self.example.needs.is_empty() {
            let _ = writeln!(out, "{}\n", self.example.needs);
        }
        out.push_str(
            "| method | path | status | permission | what it does |\n|---|---|---|---|---|\n",
        );
        for route in self.routes {
            let paths: Vec<_> = route.paths.iter().map(|path| format!("`{path}`")).collect();
            let _ = writeln!(
                out,
                "| {}{} | {} | {} | {}:{} | {} |",
                route.method.as_str(),
                base_of(route.within),
                paths.join(", "),
                statuses(route),
                route.action.as_str(),
                route.target,
                cell(route.doc)
            );
        }
        for (at, route) in self.routes.iter().enumerate() {
            let same = |other: &&Route| same_params(route, other);
            if route.params.is_empty() || self.routes[..at].iter().any(|other| same(&other)) {
                continue;
            }
            let methods: Vec<&str> = self
                .routes
                .iter()
                .filter(same)
                .map(|r| r.method.as_str())
                .collect();
            let path = route.paths.first().copied().unwrap_or_default();
            let _ = write!(
                out,
                "\nParameters of {} `{path}`:\n\n",
                methods.join(" and ")
            );
            write_params(out, route);
        }
        let mut shown: Vec<*const ()> = Vec::new();
        for shape in self
            .routes
            .iter()
            .filter_map(|route| shape_of(route.answers))
        {
            let address = std::ptr::from_ref(shape).cast::<()>();
            if !shown.contains(&address) {
                shown.push(address);
                write_fields(out, shape);
            }
        }
    }
}

/// Whether two rows have the same parameters and paths, as POST and PUT do.
fn same_params(one: &Route, other: &Route) -> bool {
    let groups = |route: &Route| -> Vec<*const Param> {
        route.params.iter().map(|group| group.as_ptr()).collect()
    };
    one.paths == other.paths && groups(one) == groups(other)
}

fn write_params(out: &mut String, route: &Route) {
    out.push_str("| parameter | value | meaning |\n|---|---|---|\n");
    for param in route.params.iter().copied().flatten() {
        let required = match param.required {
            [true, true] => " **Required.**",
            [true, false] => " **Required** at the Restcomm base.",
            [false, true] => " **Required** at the Twilio base.",
            [false, false] => "",
        };
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {}{required} |",
            param.name,
            base_of(param.within),
            kind_of(param.kind),
            cell(param.doc)
        );
    }
}

fn write_fields(out: &mut String, shape: &(dyn Shape + Sync)) {
    let [restcomm, twilio] = RestDialect::MAIN;
    let of_twilio = shape.json_fields(twilio);
    let of_restcomm = shape.json_fields(restcomm);
    let _ = write!(
        out,
        "\nFields of {} in JSON:\n\n| field | value | meaning |\n|---|---|---|\n",
        shape.name(restcomm)
    );
    let mut write = |name: &str, within: [bool; DIALECTS], kind: Kind, doc: &str| {
        let _ = writeln!(
            out,
            "| `{name}`{} | {} | {} |",
            base_of(within),
            value_of(kind),
            cell(doc)
        );
    };
    for (name, kind, _, doc) in &of_restcomm {
        let both = of_twilio.iter().any(|(other, ..)| other == name);
        write(name, [true, both], *kind, doc);
    }
    for (name, kind, _, doc) in &of_twilio {
        if !of_restcomm.iter().any(|(other, ..)| other == name) {
            write(name, [false, true], *kind, doc);
        }
    }
}

fn shape_of(answers: Answers) -> Option<&'static (dyn Shape + Sync)> {
    match answers {
        Answers::One(shape) | Answers::Legs(shape) | Answers::Page(shape) | Answers::All(shape) => {
            Some(shape)
        }
        Answers::Texts | Answers::Nothing => None,
    }
}

fn command(example: Example) -> String {
    let Example {
        method, path, form, ..
    } = example;
    let mut line = format!("curl -u \"$SID:$TOKEN\" \"$BASE{path}.json\"");
    if method == Verb::Post.as_str() && form.is_empty() {
        line.push_str(" -X POST");
    }
    for parameter in form {
        let _ = write!(line, " -d {parameter}");
    }
    line
}

fn base_of(within: [bool; DIALECTS]) -> &'static str {
    match within {
        [true, true] => "",
        [true, false] => " (Restcomm)",
        [false, true] => " (Twilio)",
        [false, false] => " (nowhere)",
    }
}

fn statuses(route: &Route) -> String {
    match (route.within, route.status) {
        ([true, true], [restcomm, twilio]) if restcomm != twilio => {
            format!("{restcomm}, Twilio {twilio}")
        }
        ([false, true], [_, twilio]) => twilio.to_string(),
        (_, [restcomm, _]) => restcomm.to_string(),
    }
}

fn kind_of(kind: Is) -> String {
    let words = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    match kind {
        Is::Text => "text".to_owned(),
        Is::Party => "text; an unescaped leading `+` is accepted".to_owned(),
        Is::Secret => "secret text".to_owned(),
        Is::Number => "whole number".to_owned(),
        Is::Flag => "`true` or `false`".to_owned(),
        Is::Method => "`GET` or `POST`".to_owned(),
        Is::Address => "http or https address".to_owned(),
        Is::Sid(_) => "SID".to_owned(),
        Is::SidPattern(_) => "SID; at the Restcomm base also a pattern with `%` and `_`".to_owned(),
        Is::Day => "day, `yyyy-MM-dd`".to_owned(),
        Is::Moment => "day, or time `yyyy-MM-ddTHH:mm:ssZ`".to_owned(),
        Is::Word(list) => format!("one of {}", words(list)),
        Is::Words(list) => format!("any of {}", words(list)),
    }
}

const fn value_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number | Kind::Decimal => "number",
        Kind::Flag => "true or false",
        Kind::Date | Kind::Time => "time",
        Kind::Link => "path",
        Kind::Object => "object",
        Kind::List => "list",
    }
}

/// A text as one table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_has_its_section() {
        let paths =
            |routes: &[Route]| -> Vec<_> { routes.iter().map(|route| route.paths).collect() };
        for routes in crate::resources::ROUTES {
            let wanted = paths(routes);
            let mut described = SECTIONS.iter().map(|section| paths(section.routes));
            assert!(described.any(|found| found == wanted), "{wanted:?}");
        }
    }
}
