//! Routing in tables: who may call what, and with which result. The rows come from a server with
//! three accounts, as a host would fetch them.

mod masks;
mod organizations;
mod refer;
mod refusals;
mod texts;
mod ways;

use std::sync::Arc;

use model::profile::Limits;
use model::record::Application;
use model::{ApplicationSid, ClientSid, OrganizationSid, Target, Timestamp};

use super::*;

const HERE: OrganizationSid = OrganizationSid::from_bytes([9; 16]);
const BASE: &str = "http://pbx.example:8080/docs?x=1";

/// All stored rows.
struct House {
    clients: Vec<Client>,
    numbers: Vec<Number>,
    patterns: Vec<Number>,
    any: Option<Number>,
    closed: Vec<AccountSid>,
    has_outbound_proxy: bool,
    limits: Limits,
    /// What a participant finds at a number of a pool.
    mask: Option<masking::Found>,
    /// How many interactions its session has had.
    turns: i64,
    /// The requested rows, in order.
    asked: Vec<String>,
}

impl House {
    /// Client `kim` of account 1, client `ann` of account 3, the private number +12025550100 of
    /// account 2 with a document.
    fn new() -> Self {
        Self {
            clients: vec![client("kim", 1), client("ann", 3)],
            numbers: vec![number("+12025550100", Some("/v"))],
            patterns: Vec::new(),
            any: None,
            closed: Vec::new(),
            has_outbound_proxy: true,
            limits: Limits::default(),
            mask: None,
            turns: 0,
            asked: Vec::new(),
        }
    }

    fn decide(&mut self, invite: &Invitation) -> Decision {
        let house = super::House {
            public_base: BASE,
            has_outbound_proxy: self.has_outbound_proxy,
        };
        let mut rows = Rows::default();
        loop {
            match route(invite, house, &rows) {
                Ok(decision) => return decision,
                Err(want) => self.add(want, &mut rows),
            }
        }
    }

    fn way(&mut self, author: AccountSid, target: &Target) -> Result<Way, String> {
        // The SIP side decides which addresses lead here.
        let parts = target.as_str().strip_prefix("sip:");
        let parts = parts.and_then(|rest| rest.split_once('@'));
        let here = parts.filter(|(_, host)| host.to_lowercase().starts_with("pbx.example"));
        let local = here.map(|(user, _)| Local {
            user,
            organization: None,
        });
        let way = self.settle(|rows| way(target, (author, HERE), local, rows));
        way.map_err(|unreachable| unreachable.text)
    }

    fn settle<T>(&mut self, decide: impl Fn(&Rows) -> Result<T, Want>) -> T {
        let mut rows = Rows::default();
        loop {
            match decide(&rows) {
                Ok(decision) => return decision,
                Err(want) => self.add(want, &mut rows),
            }
        }
    }

    fn add(&mut self, want: Want, rows: &mut Rows) {
        match want {
            Want::Client(organization, login) => {
                self.asked.push(format!("client {login}"));
                let mut clients = self.clients.iter();
                let found = clients
                    .find(|client| client.login == login && client.organization == organization);
                rows.add_client(organization, login, found.cloned().map(Arc::new));
            }
            Want::Mask { number, from } => {
                let found = self.mask.clone().filter(|found| found.mask.sid == number);
                rows.add_mask(
                    number,
                    found.map(|found| masks::seen_by(found, from.as_deref())),
                );
            }
            Want::Turn { session, limit } => {
                let is_allowed = self.turns < limit;
                self.turns += i64::from(is_allowed);
                rows.add_turn(session, is_allowed);
            }
            Want::Limits(sid) => rows.add_limits(sid, self.limits.clone()),
            Want::Numbers {
                organization,
                dialled,
                spellings,
            } => {
                self.asked.push(format!("number {dialled}"));
                let stored = |spelling: &String| {
                    let mut numbers = self.numbers.iter();
                    numbers.find(|number| number.phone_number == *spelling)
                };
                let found = Numbers {
                    exact: spellings
                        .iter()
                        .filter_map(stored)
                        .cloned()
                        .map(Arc::new)
                        .collect(),
                    patterns: self.patterns.iter().cloned().map(Arc::new).collect(),
                    any: self.any.clone().map(Arc::new),
                };
                rows.add_numbers((organization, dialled), &spellings, found);
            }
            Want::Account(sid) => {
                let gone = sid == account(9);
                let status = if self.closed.contains(&sid) {
                    AccountStatus::Suspended
                } else {
                    AccountStatus::Active
                };
                // Account 4 is above all others except 5; 6 and 7 are above each other.
                let others = [(4, None), (5, None), (6, Some(7)), (7, Some(6))];
                let other = others.into_iter().find(|(n, _)| sid == account(*n));
                let parent = other.map_or(Some(4), |(_, parent)| parent).map(account);
                let standing = Standing {
                    status,
                    parent,
                    is_test: sid == account(3),
                };
                rows.add_account(sid, (!gone).then_some(standing));
            }
            Want::Application(sid) => {
                let known = [1, 2, 4].map(application).contains(&sid);
                let url = (sid != application(2)).then(|| "app?y=2".to_owned());
                // Number 4 leaves nothing to the number.
                let own = |text: &str| (sid == application(4)).then(|| text.to_owned());
                let get = (sid == application(4)).then_some(HttpMethod::Get);
                let row = Application {
                    sid,
                    account: account(4),
                    friendly_name: String::new(),
                    api_version: String::new(),
                    voice_caller_id_lookup: false,
                    rcml_url: url,
                    method: get,
                    fallback_url: own("/own-f"),
                    fallback_method: get,
                    status_callback: own("http://app/own-s"),
                    status_callback_method: get,
                    dialect: DialectName::Twilio,
                    kind: None,
                    extra: std::collections::BTreeMap::new(),
                    created: Timestamp(0),
                    updated: Timestamp(0),
                };
                rows.add_application(sid, known.then(|| Arc::new(row)));
            }
        }
    }
}

fn account(n: u8) -> AccountSid {
    AccountSid::from_bytes([n; 16])
}

fn application(n: u8) -> ApplicationSid {
    ApplicationSid::from_bytes([n; 16])
}

fn client(login: &str, of: u8) -> Client {
    Client {
        sid: ClientSid::from_bytes([1; 16]),
        account: account(of),
        organization: HERE,
        friendly_name: login.to_owned(),
        login: login.to_owned(),
        ha1_md5: String::new(),
        ha1_sha256: String::new(),
        enabled: true,
        push: false,
        voice: VoiceApplication::default(),
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

fn number(phone_number: &str, url: Option<&str>) -> Number {
    Number {
        sid: NumberSid::from_bytes([2; 16]),
        account: account(2),
        organization: HERE,
        friendly_name: String::new(),
        phone_number: phone_number.to_owned(),
        pure_sip: true,
        public: false,
        voice: VoiceApplication {
            url: url.map(str::to_owned),
            ..Default::default()
        },
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: std::collections::BTreeMap::new(),
        created: Timestamp(0),
        updated: Timestamp(0),
    }
}

fn invite(caller: &Caller, called: &str) -> Invitation {
    Invitation {
        caller: caller.clone(),
        from_user: "kim".to_owned(),
        from_organization: HERE,
        from_here: true,
        from_registered: true,
        called_organization: None,
        called_user: called.to_owned(),
        called_here: true,
        request_uri: format!("sip:{called}@pbx.example"),
        to_user: called.to_owned(),
        headers: Headers::new(),
        body_type_ok: true,
    }
}

fn kim() -> Caller {
    Caller::Client {
        login: "kim".to_owned(),
    }
}

/// A decision as text.
fn said(decision: &Decision) -> String {
    match decision {
        Decision::Challenge(_) => "challenge".to_owned(),
        Decision::Refuse(refusal) => match (refusal.code, refusal.account) {
            (Some(code), Some(account)) => {
                format!(
                    "{} {code} for {}",
                    refusal.sip_status,
                    account.as_bytes()[0]
                )
            }
            (Some(code), None) => format!("{} {code}", refusal.sip_status),
            (None, _) => refusal.sip_status.to_string(),
        },
        Decision::Admit(admission) => {
            let of = admission.account.as_bytes()[0];
            match &admission.script {
                Script::Document(document) => {
                    let path = document.url.trim_start_matches("http://pbx.example:8080");
                    format!("{of}: {} {path}", document.method)
                }
                Script::Verbs {
                    verbs,
                    answer_on_bridge,
                } => match &verbs[..] {
                    [Verb::Dial(dial)] => {
                        let noun = &dial.nouns[0];
                        let on_bridge = if *answer_on_bridge { " on bridge" } else { "" };
                        let target = match noun {
                            Noun::Number(branch) | Noun::Client(branch) | Noun::Sip(branch) => {
                                branch.target.as_str()
                            }
                            _ => "?",
                        };
                        format!("{of}: {} {target}{on_bridge}", noun.name())
                    }
                    _ => "?".to_owned(),
                },
            }
        }
    }
}

fn check(name: &str, house: &mut House, invite: &Invitation, expected: &str) {
    assert_eq!(said(&house.decide(invite)), expected, "{name}");
}

/// Changes the stored rows or the INVITE of a case.
type Change = fn(&mut House, &mut Invitation);

#[test]
fn proof_and_rows_decide() {
    let as_is: Change = |_, _| {};
    let public: Change = |house, _| house.numbers[0].public = true;
    let stranger: Change = |_, invite| invite.from_user = "x".to_owned();
    let elsewhere: Change = |_, invite| invite.from_here = false;
    let public_from_elsewhere: Change = |house, invite| {
        house.numbers[0].public = true;
        invite.from_here = false;
    };
    let number = "+12025550100";
    let trunk = Caller::Trunk;
    let unknown = Caller::Unknown;
    let unproved = Caller::Unproved;
    let table: &[(&Caller, &str, Change, &str)] = &[
        // A caller that names a client must authenticate, whatever is called.
        (&unknown, number, public, "challenge"),
        (&unproved, number, public, "challenge"),
        (&unknown, "ann", as_is, "challenge"),
        // The name of a client with another host belongs to someone else.
        (&unknown, number, public_from_elsewhere, "2: POST /v"),
        (&unknown, number, elsewhere, "challenge"),
        (&unknown, "ann", elsewhere, "3: Client ann on bridge"),
        (&unproved, number, public_from_elsewhere, "challenge"),
        (&unknown, "zed", stranger, "404 11005"),
        // A trunk needs no authentication and has no client's rights.
        (&trunk, number, as_is, "2: POST /v"),
        (&trunk, "ann", as_is, "3: Client ann on bridge"),
        (&trunk, "zed", as_is, "404 11005"),
        // A client.
        (&kim(), number, as_is, "1: POST /v"),
        (&kim(), "ann", as_is, "1: Client ann on bridge"),
        (&kim(), "+999", as_is, "1: Number +999 on bridge"),
        (
            &kim(),
            "+999",
            |house, _| house.has_outbound_proxy = false,
            "404 11005 for 1",
        ),
        // Its own application takes precedence over everything that is called.
        (
            &kim(),
            "ann",
            |house, _| house.clients[0].voice.url = Some("/c".to_owned()),
            "1: POST /c",
        ),
        (
            &kim(),
            "ann",
            |house, _| house.clients[0].voice.url = Some(String::new()),
            "1: Client ann on bridge",
        ),
        (
            &kim(),
            number,
            |house, _| house.clients[0].enabled = false,
            "challenge",
        ),
        // Accounts that are not active.
        (
            &kim(),
            number,
            |house, _| house.closed.push(account(1)),
            "403 11005 for 1",
        ),
        // Only the client itself may learn about its account.
        (
            &unknown,
            number,
            |house, _| house.closed.push(account(1)),
            "challenge",
        ),
        (
            &trunk,
            number,
            |house, _| house.closed.push(account(1)),
            "2: POST /v",
        ),
        (
            &kim(),
            number,
            |house, _| house.closed.push(account(2)),
            "403 11005 for 2",
        ),
        (
            &kim(),
            "ann",
            |house, _| house.closed.push(account(3)),
            "403 11005 for 3",
        ),
        (
            &kim(),
            "ann",
            |house, _| house.clients[1].account = account(9),
            "403 11005 for 9",
        ),
        // An unsupported body is refused before anything is looked up.
        (
            &kim(),
            "ann",
            |_, invite| invite.body_type_ok = false,
            "415",
        ),
    ];
    for (at, (caller, called, change, expected)) in table.iter().enumerate() {
        let mut house = House::new();
        let mut invite = invite(caller, called);
        change(&mut house, &mut invite);
        check(&format!("row {at}"), &mut house, &invite, expected);
    }
}

#[test]
fn a_number_belongs_to_its_account_whatever_logins_others_take() {
    // Number +12025550100 belongs to account 2.
    let table = [
        ("+12025550100", 1, "2: POST /v"),
        ("12025550100", 1, "2: POST /v"),
        ("0012025550100", 1, "2: POST /v"),
        ("+12025550100", 2, "2: Client +12025550100 on bridge"),
        // Not a number: only the login matches, even before a pattern.
        ("+12025550177", 1, "1: Client +12025550177 on bridge"),
    ];
    for (dialled, of, expected) in table {
        let mut house = House::new();
        house.clients.push(client(dialled, of));
        house.patterns.push(number("+1202[0-9]*", Some("/p")));
        check(
            dialled,
            &mut house,
            &invite(&Caller::Trunk, dialled),
            expected,
        );
    }
}

#[test]
fn no_login_keeps_strangers_off_a_public_number_of_another_account() {
    let mut registered = invite(&Caller::Unknown, "+12025550100");
    let mut house = House::new();
    house.numbers[0].public = true;
    check("kim's phone", &mut house, &registered, "challenge");
    registered.from_registered = false;
    check("a stranger", &mut house, &registered, "2: POST /v");
    house.clients[0].account = account(2);
    check(
        "the number's own client",
        &mut house,
        &registered,
        "challenge",
    );
    let mut to_ann = invite(&Caller::Unknown, "ann");
    to_ann.from_registered = false;
    check("to a client", &mut house, &to_ann, "challenge");
}

#[test]
fn an_exact_number_goes_before_a_pattern_and_a_pattern_before_any() {
    let house = || {
        let mut house = House::new();
        house.patterns = vec![
            number("^12[0-9]*$", Some("/12")),
            number("+44", Some("/44")),
        ];
        house.any = Some(number("*", Some("/any")));
        house
    };
    let table = [
        ("+12025550100", "2: POST /v"),
        ("12025550100", "2: POST /v"),
        ("0012025550100", "2: POST /v"),
        ("127", "2: POST /12"),
        ("+127", "2: POST /12"),
        ("+441", "2: POST /44"),
        ("441", "2: POST /44"),
        ("0441", "2: POST /any"),
        // A name does not match a pattern of digits.
        ("x127", "2: POST /any"),
        ("zed", "2: POST /any"),
        // A client takes precedence over every number.
        ("ann", "3: Client ann on bridge"),
    ];
    for (called, expected) in table {
        let invite = invite(&Caller::Trunk, called);
        check(called, &mut house(), &invite, expected);
    }
}

#[test]
fn to_counts_only_if_the_request_uri_names_nothing_here() {
    // Request-URI, To, decision, called party, and rows looked up.
    let table = [
        (
            "+12025550100",
            "ann",
            "2: POST /v",
            "+12025550100",
            "client +12025550100, number +12025550100",
        ),
        (
            "gw",
            "+12025550100",
            "2: POST /v",
            "+12025550100",
            "client gw, number gw, client +12025550100, number +12025550100",
        ),
        (
            "gw",
            "ann",
            "3: Client ann on bridge",
            "ann",
            "client gw, number gw, client ann, number ann",
        ),
        (
            "ann",
            "gw",
            "3: Client ann on bridge",
            "ann",
            "client ann, number ann",
        ),
        (
            "gw",
            "zed",
            "404 11005",
            "",
            "client gw, number gw, client zed, number zed",
        ),
        ("gw", "gw", "404 11005", "", "client gw, number gw"),
        ("", "", "404 11005", "", "number "),
    ];
    for (called, to, expected, admitted, asked) in table {
        let mut house = House::new();
        let mut invite = invite(&Caller::Trunk, called);
        invite.from_here = false;
        invite.to_user = to.to_owned();
        let decision = house.decide(&invite);
        assert_eq!(said(&decision), expected, "{called} {to}");
        assert_eq!(house.asked.join(", "), asked, "{called} {to}");
        if let Decision::Admit(admission) = decision {
            assert_eq!(admission.to, admitted);
        }
    }
}

#[test]
fn the_application_of_a_number_is_an_address_with_a_method() {
    type Written = fn(&mut VoiceApplication);
    let table: &[(&str, Written, &str)] = &[
        (
            "an absolute address",
            |voice| voice.url = Some("https://app/v#x".to_owned()),
            "2: POST https://app/v",
        ),
        (
            "a relative one",
            |voice| voice.url = Some(" v ".to_owned()),
            "2: POST /v",
        ),
        (
            "one that cannot be asked is reported by the run",
            |voice| voice.url = Some("ftp://a".to_owned()),
            "2: POST ftp://a",
        ),
        (
            "another method",
            |voice| voice.method = Some(HttpMethod::Get),
            "2: GET /v",
        ),
        ("none", |voice| voice.url = None, "404 11007 for 2"),
        (
            "an application",
            |voice| voice.application = Some(application(1)),
            "2: POST /app?y=2",
        ),
        (
            "one without an address",
            |voice| voice.application = Some(application(2)),
            "404 11007 for 2",
        ),
        (
            "one that is gone",
            |voice| voice.application = Some(application(3)),
            "404 11007 for 2",
        ),
    ];
    for (name, change, expected) in table {
        let mut house = House::new();
        change(&mut house.numbers[0].voice);
        check(
            name,
            &mut house,
            &invite(&Caller::Trunk, "+12025550100"),
            expected,
        );
    }
}

/// An application of account 4 decides; what it leaves open, the number of account 2 does.
#[test]
fn an_application_goes_before_the_number_that_names_it() {
    let table = [
        (
            1,
            "POST /app?y=2 of 4, POST /f of 2, POST http://app/s of 2",
        ),
        (
            4,
            "GET /app?y=2 of 4, GET /own-f of 4, GET http://app/own-s of 4",
        ),
    ];
    for (sid, expected) in table {
        let mut house = House::new();
        house.numbers[0].voice = VoiceApplication {
            application: Some(application(sid)),
            fallback_url: Some("/f".to_owned()),
            ..VoiceApplication::default()
        };
        house.numbers[0].status_callback = Some("http://app/s".to_owned());
        let Decision::Admit(admission) = house.decide(&invite(&kim(), "+12025550100")) else {
            panic!("it is admitted");
        };
        let Script::Document(document) = admission.script else {
            panic!("a document runs");
        };
        let fallback = document.fallback.expect("a fallback");
        let callback = admission.status_callback.expect("a callback");
        let said = [
            (document.method, document.url, document.author),
            (fallback.method, fallback.url, fallback.author),
            (callback.method, callback.url, callback.author),
        ]
        .map(|(method, url, author)| {
            let path = url.trim_start_matches("http://pbx.example:8080");
            format!("{method} {path} of {}", author.as_bytes()[0])
        });
        assert_eq!(said.join(", "), expected, "application {sid}");
        assert_eq!(document.set_in, SetIn::Application, "{sid}");
        assert_eq!(admission.number, Some(house.numbers[0].sid));
    }
}

/// A client that calls by its application has the callback of the application.
#[test]
fn calls_by_a_client_s_application_are_reported_to_it() {
    let mut house = House::new();
    house.clients[0].voice.application = Some(application(4));
    let Decision::Admit(admission) = house.decide(&invite(&kim(), "ann")) else {
        panic!("it is admitted");
    };
    let callback = admission.status_callback.expect("a callback");
    assert_eq!(callback.url, "http://app/own-s");
}

#[test]
fn strangers_are_not_believed() {
    let names = [
        "X-A",
        "diversion",
        "X-RestComm-CallSid",
        "x-restcomm-AccountSid",
    ];
    let value = "<sip:777@x>".to_owned();
    let headers: Headers = names.map(|name| (name.to_owned(), value.clone())).into();
    let table = [
        (Caller::Trunk, vec!["X-A", "diversion"], Some("777")),
        (kim(), vec!["X-A"], None),
        (Caller::Unknown, vec!["X-A"], None),
    ];
    for (caller, kept, forwarded_from) in table {
        let mut invite = invite(&caller, "ann");
        invite.from_here = false;
        invite.headers.clone_from(&headers);
        let Decision::Admit(admission) = House::new().decide(&invite) else {
            panic!("{caller:?} is admitted");
        };
        let names: Vec<&str> = admission
            .headers
            .iter()
            .map(|(name, _)| &name[..])
            .collect();
        assert_eq!(names, kept, "{caller:?}");
        assert_eq!(
            admission.forwarded_from.as_deref(),
            forwarded_from,
            "{caller:?}"
        );
        // Only extra header fields travel with an implicit dial.
        let Script::Verbs { verbs, .. } = admission.script else {
            panic!("{caller:?} dials");
        };
        let [Verb::Dial(dial)] = &verbs[..] else {
            panic!("one dial");
        };
        let [Noun::Client(branch)] = &dial.nouns[..] else {
            panic!("one client");
        };
        assert_eq!(
            branch.headers,
            [("X-A".to_owned(), value.clone())],
            "{caller:?}"
        );
    }
}

#[test]
fn who_calls_is_the_proven_login_or_from() {
    let mut from_elsewhere = invite(&kim(), "ann");
    from_elsewhere.from_user = "desk".to_owned();
    from_elsewhere.from_here = false;
    let mut by_trunk = invite(&Caller::Trunk, "ann");
    by_trunk.from_user = "+1999".to_owned();
    for (invite, from) in [(from_elsewhere, "kim"), (by_trunk, "+1999")] {
        let Decision::Admit(admission) = House::new().decide(&invite) else {
            panic!("it is admitted");
        };
        assert_eq!(admission.from, from);
    }
}

#[test]
fn clients_reach_other_servers() {
    let table = [
        (
            "sip:zed@h.example",
            false,
            "1: Sip sip:zed@h.example on bridge",
        ),
        (
            "sip:zed@h.example:5070;x=y",
            false,
            "1: Sip sip:zed@h.example:5070;x=y on bridge",
        ),
        // An address literal may be ours behind a redirect; with a port it is another server.
        ("sip:zed@192.0.2.1", false, "1: Number zed on bridge"),
        ("sip:zed@[2001:db8::1]", false, "1: Number zed on bridge"),
        (
            "sip:zed@192.0.2.1:5070",
            false,
            "1: Sip sip:zed@192.0.2.1:5070 on bridge",
        ),
        ("sip:zed@pbx.example", true, "1: Number zed on bridge"),
        ("tel:+1999", false, "1: Number zed on bridge"),
    ];
    for (uri, called_here, expected) in table {
        let mut invite = invite(&kim(), "zed");
        invite.request_uri = uri.to_owned();
        invite.called_here = called_here;
        check(uri, &mut House::new(), &invite, expected);
    }
}

#[test]
fn an_application_runs_only_for_its_account_and_those_below() {
    let table = [
        (2, "2: POST /app?y=2"),
        (4, "4: POST /app?y=2"),
        (5, "404 11007 for 5"),
        (6, "404 11007 for 6"),
    ];
    for (of, expected) in table {
        let mut house = House::new();
        house.numbers[0].account = account(of);
        house.numbers[0].voice.application = Some(application(1));
        let invite = invite(&Caller::Trunk, "+12025550100");
        check(&of.to_string(), &mut house, &invite, expected);
    }
}
