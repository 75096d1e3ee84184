//! The rights that apply to an address are those of the account that set it, not of the account
//! that owns the call.

use call_proto::{Document, LegCallback, Redirect, Target};
use model::{AccountSid, AccountStatus, HttpMethod};

use crate::world::{
    Phone, Root, Run, World, callback_to, client, document_at, empty, phone, status, xml,
};

const NUMBER: &str = "http://app/number";
const TOLD: &str = "http://app/told";

fn account(n: u8) -> AccountSid {
    AccountSid::from_bytes([n; 16])
}

/// A client of account 2 calls the number of account 1, so the call belongs to account 2.
fn guest(document: &str) -> World {
    let mut world = World::document(document)
        .with(|directory| {
            let (mut kim, status) = client("kim");
            kim.account = account(2);
            directory.clients.push((kim, status));
        })
        .number_callback(NUMBER);
    world.caller.knows_password = true;
    world
}

/// The API redirects K to addresses set by account `n`.
fn redirected(world: World, n: u8) -> World {
    let redirect = Redirect {
        document: Document {
            method: HttpMethod::Post,
            author: account(n),
            ..document_at("http://app/other")
        },
        status_callback: Some((TOLD.to_owned(), HttpMethod::Post)),
        only_in: None,
        move_connected_leg: false,
        dialect: None,
    };
    world.redirects_with(4.0, "K", redirect)
}

/// The author of each request, sound file and callback, once each, as `what: n`.
fn authors(run: &Run) -> String {
    let requests = run
        .all_requests()
        .map(|asked| (asked.path.clone(), asked.author));
    let short = |url: &str| url.trim_start_matches("http://app").to_owned();
    let sounds = run.loaded.iter().map(|(url, author)| (short(url), *author));
    let callbacks = run
        .callbacks
        .iter()
        .map(|callback| (short(&callback.url), callback.author));
    let mut lines: Vec<String> = requests
        .chain(sounds)
        .chain(callbacks)
        .map(|(what, author)| format!("{what}: {}", author.as_bytes()[0]))
        .collect();
    lines.dedup();
    lines.join(", ")
}

const DIAL: &str = "<Play>/a.wav</Play>\
    <Dial action=\"/a\"><Client statusCallback=\"/s\">ann</Client></Dial>";

fn ann() -> Phone {
    phone().rings(0.0).answers(0.0).talks(1.0)
}

#[test]
fn a_document_and_what_it_leads_to_belong_to_the_number() {
    let run = guest(DIAL)
        .clip("http://app/a.wav", 1.0)
        .app("/a", xml("<Redirect>/r</Redirect>"))
        .app("/r", empty())
        .phone("ann", ann())
        .run();
    assert_eq!(run.record("K").account, account(2));
    assert_eq!(
        authors(&run),
        "/v: 1, /a: 1, /r: 1, /a.wav: 1, /number: 1, /s: 1, /number: 1"
    );
    assert!(
        run.callbacks
            .iter()
            .all(|callback| callback.account == account(2))
    );
}

#[test]
fn a_redirect_by_the_api_belongs_to_its_writer() {
    let world = |n| {
        redirected(guest("<Pause length=\"9\"/>"), n)
            .app("/other", xml(DIAL))
            .app("/a", empty())
            .clip("http://app/a.wav", 1.0)
            .phone("ann", ann())
            .run()
    };
    assert_eq!(
        authors(&world(2)),
        "/v: 1, /other: 2, /a: 2, /a.wav: 2, /number: 1, /told: 2, /s: 2, /told: 2"
    );
    assert_eq!(
        authors(&world(3)),
        "/v: 1, /other: 3, /a: 3, /a.wav: 3, /number: 1, /told: 3, /s: 3, /told: 3"
    );
}

/// The document belongs to an application, the fallback to the number.
#[test]
fn a_fallback_belongs_to_the_number() {
    let mut world = World::api(Target::Sip("sip:zed@h".to_owned()), "")
        .phone("zed", phone().rings(0.0).answers(0.0))
        .app("/fall", xml("<Redirect>/r</Redirect>"))
        .app("/r", empty());
    world.pages.insert("/v".to_owned(), vec![status(500)]);
    if let Root::Api(call) = &mut world.root {
        call.document.author = account(5);
        call.document.fallback = Some(call_proto::Fallback {
            url: "http://app/fall".to_owned(),
            method: HttpMethod::Post,
            author: account(6),
            set_in: call_proto::SetIn::Request,
        });
        call.callback = Some(LegCallback {
            target: call_proto::CallbackTarget {
                author: account(5),
                ..callback_to("http://app/rest")
            },
            events: None,
        });
    }
    let run = world.run();
    assert_eq!(authors(&run), "/v: 5, /fall: 6, /r: 6, /rest: 5");
}

/// The administrator's client calls a tenant's number: the tenant's addresses do not get the
/// administrator's rights.
#[test]
fn a_caller_gives_no_rights_to_the_number_called() {
    let mut world = World::document("<Hangup/>")
        .with(|directory| {
            let (mut number, _) = crate::world::number("+3000");
            number.account = account(7);
            number.status_callback = Some(NUMBER.to_owned());
            directory.numbers.push((number, AccountStatus::Active));
        })
        .kim_is_client();
    world = world.dials("+3000");
    let run = world.run();
    assert_eq!(run.record("K").account, account(1));
    assert_eq!(authors(&run), "/v: 7, /number: 7");
}
