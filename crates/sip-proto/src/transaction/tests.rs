//! Timelines of the four machines, after RFC 3261 figures 5 to 8 and RFC 6026 figures 1 and 2.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::Client;
use super::invite_client::InviteClient;
use super::invite_server::InviteServer;
use super::machine::Action;
use super::server::Server;
use crate::ua::testing::start;

enum Machine {
    InviteClient(InviteClient),
    InviteServer(InviteServer),
    Client(Client),
    Server(Server),
}

/// An external event.
#[derive(Clone, Copy)]
enum Input {
    /// A response arrives (client), or the user answers (server).
    Status(u16),
    /// The request arrives again.
    Repeat,
    Ack,
    TransportError,
    /// No final response came after CANCEL.
    Abandon,
}

use Input::{Abandon, Ack, Repeat, Status, TransportError};

fn apply(machine: &mut Machine, input: Input, now: Instant) {
    match (machine, input) {
        (Machine::InviteClient(m), Status(status)) => {
            m.handle_response(status, || Bytes::from_static(b"ACK"), now);
        }
        (Machine::InviteClient(m), TransportError) => m.handle_transport_error(),
        (Machine::InviteClient(m), Abandon) => m.abandon(),
        (Machine::InviteServer(m), Status(status)) => m.respond(status, text(status), now),
        (Machine::InviteServer(m), Repeat) => m.handle_repeat(),
        (Machine::InviteServer(m), Ack) => m.handle_ack(now),
        (Machine::Client(m), Status(status)) => m.handle_response(status, now),
        (Machine::Client(m), TransportError) => m.handle_transport_error(),
        (Machine::Server(m), Status(status)) => m.respond(status, text(status), now),
        (Machine::Server(m), Repeat) => m.handle_repeat(),
        _ => panic!("this machine has no such input"),
    }
}

fn text(status: u16) -> Bytes {
    Bytes::from(status.to_string())
}

fn poll(machine: &mut Machine) -> (Option<Action>, Option<Instant>) {
    match machine {
        Machine::InviteClient(m) => (m.poll_action(), m.poll_timeout()),
        Machine::InviteServer(m) => (m.poll_action(), m.poll_timeout()),
        Machine::Client(m) => (m.poll_action(), m.poll_timeout()),
        Machine::Server(m) => (m.poll_action(), m.poll_timeout()),
    }
}

fn wake(machine: &mut Machine, now: Instant) {
    match machine {
        Machine::InviteClient(m) => m.handle_timeout(now),
        Machine::InviteServer(m) => m.handle_timeout(now),
        Machine::Client(m) => m.handle_timeout(now),
        Machine::Server(m) => m.handle_timeout(now),
    }
}

/// Runs a machine and records all its actions, with the time in ms.
fn timeline(make: impl FnOnce(Instant) -> Machine, inputs: &[(u64, Input)]) -> String {
    let t0 = start();
    let mut machine = make(t0);
    let mut inputs = inputs.iter().copied().peekable();
    let mut seen = String::new();
    let mut now = t0;
    loop {
        while let (Some(action), _) = poll(&mut machine) {
            let ms = now.duration_since(t0).as_millis();
            let word = match &action {
                Action::Send(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => format!("{other:?}"),
            };
            let comma = if seen.is_empty() { "" } else { ", " };
            write!(seen, "{comma}{ms} {word}").expect("writes to a string");
        }
        let due = poll(&mut machine).1;
        let next = inputs.peek().map(|(ms, _)| t0 + Duration::from_millis(*ms));
        match (next, due) {
            (Some(at), due) if due.is_none_or(|due| at <= due) => {
                now = at;
                if let Some((_, input)) = inputs.next() {
                    apply(&mut machine, input, now);
                }
            }
            (_, Some(at)) => {
                now = at;
                wake(&mut machine, now);
            }
            (_, None) => return seen,
        }
    }
}

/// Whether the transport is reliable; inputs with their time in ms; the log.
type Row<'a> = (bool, &'a [(u64, Input)], &'a str);

#[test]
fn invite_client() {
    // Reliable transport, inputs, then all actions.
    let table: &[Row] = &[
        (
            false,
            &[],
            "0 INVITE, 500 INVITE, 1500 INVITE, 3500 INVITE, 7500 INVITE, 15500 INVITE, \
             31500 INVITE, 32000 TimedOut, 32000 End",
        ),
        (true, &[], "0 INVITE, 32000 TimedOut, 32000 End"),
        // A provisional response stops both timers: ringing may take long.
        (
            false,
            &[(600, Status(180))],
            "0 INVITE, 500 INVITE, 600 Deliver",
        ),
        // Each repeated refusal is acknowledged for the duration of timer D.
        (
            false,
            &[
                (100, Status(486)),
                (600, Status(486)),
                (32_050, Status(486)),
                (33_000, Status(486)),
            ],
            "0 INVITE, 100 Deliver, 100 ACK, 600 ACK, 32050 ACK, 32100 End",
        ),
        (
            true,
            &[(100, Status(486))],
            "0 INVITE, 100 Deliver, 100 ACK, 100 End",
        ),
        // Every 2xx is passed up for the duration of timer M and acknowledged by the user; a
        // refusal that follows comes from another branch of a proxy, too late.
        (
            false,
            &[
                (10, Status(180)),
                (20, Status(200)),
                (30, Status(200)),
                (40, Status(486)),
            ],
            "0 INVITE, 10 Deliver, 20 Deliver, 30 Deliver, 32020 End",
        ),
        (
            false,
            &[(10, Status(200))],
            "0 INVITE, 10 Deliver, 32010 End",
        ),
        // A late provisional response changes nothing.
        (
            false,
            &[(10, Status(200)), (20, Status(180))],
            "0 INVITE, 10 Deliver, 32010 End",
        ),
        (true, &[(5, TransportError)], "0 INVITE, 5 Unsent, 5 End"),
        // After the first answer, a message that cannot be sent is not the INVITE.
        (
            true,
            &[(5, Status(100)), (9, TransportError)],
            "0 INVITE, 5 Deliver",
        ),
        (
            false,
            &[(5, Status(100)), (9, Abandon)],
            "0 INVITE, 5 Deliver, 9 TimedOut, 9 End",
        ),
    ];
    for (reliable, inputs, expected) in table {
        let request = Bytes::from_static(b"INVITE");
        let make = |now| Machine::InviteClient(InviteClient::new(request, *reliable, now));
        assert_eq!(timeline(make, inputs), *expected);
    }
}

#[test]
fn invite_server() {
    let table: &[Row] = &[
        // A repeated INVITE gets the last provisional response again.
        (
            false,
            &[
                (0, Status(100)),
                (500, Repeat),
                (700, Status(180)),
                (1500, Repeat),
            ],
            "0 100, 500 100, 700 180, 1500 180",
        ),
        // Timer G: the refusal is repeated until ACK; timer I absorbs repeated ACKs.
        (
            false,
            &[(0, Status(486)), (600, Repeat), (1600, Ack), (1700, Ack)],
            "0 486, 500 486, 600 486, 1500 486, 6600 End",
        ),
        // Timer H.
        (
            false,
            &[(0, Status(486))],
            "0 486, 500 486, 1500 486, 3500 486, 7500 486, 11500 486, 15500 486, 19500 486, \
             23500 486, 27500 486, 31500 486, 32000 End",
        ),
        (true, &[(0, Status(486)), (100, Ack)], "0 486, 100 End"),
        (true, &[(0, Status(486))], "0 486, 32000 End"),
        // Timer L: a repeated INVITE is absorbed, the user's 2xx pass, an ACK is passed up.
        (
            false,
            &[
                (0, Status(200)),
                (300, Repeat),
                (500, Status(200)),
                (600, Ack),
                (700, Status(486)),
            ],
            "0 200, 500 200, 600 Deliver, 32000 End",
        ),
        // An ACK before any final response is ignored.
        (false, &[(0, Status(100)), (10, Ack)], "0 100"),
    ];
    for (reliable, inputs, expected) in table {
        let make = |_| Machine::InviteServer(InviteServer::new(*reliable));
        assert_eq!(timeline(make, inputs), *expected);
    }
}

#[test]
fn client() {
    let table: &[Row] = &[
        // Timers E and F.
        (
            false,
            &[],
            "0 BYE, 500 BYE, 1500 BYE, 3500 BYE, 7500 BYE, 11500 BYE, 15500 BYE, 19500 BYE, \
             23500 BYE, 27500 BYE, 31500 BYE, 32000 TimedOut, 32000 End",
        ),
        (true, &[], "0 BYE, 32000 TimedOut, 32000 End"),
        // In Proceeding the interval is T2 at once.
        (
            false,
            &[(600, Status(100)), (9000, Status(200))],
            "0 BYE, 500 BYE, 600 Deliver, 1500 BYE, 5500 BYE, 9000 Deliver, 14000 End",
        ),
        // Timer K absorbs the repeated response.
        (
            false,
            &[(100, Status(481)), (200, Status(481))],
            "0 BYE, 100 Deliver, 5100 End",
        ),
        (true, &[(100, Status(200))], "0 BYE, 100 Deliver, 100 End"),
        (false, &[(5, TransportError)], "0 BYE, 5 Unsent, 5 End"),
    ];
    for (reliable, inputs, expected) in table {
        let request = Bytes::from_static(b"BYE");
        let make = |now| Machine::Client(Client::new(request, *reliable, now));
        assert_eq!(timeline(make, inputs), *expected);
    }
}

#[test]
fn server() {
    let table: &[Row] = &[
        // Timer J.
        (
            false,
            &[
                (0, Repeat),
                (100, Status(200)),
                (500, Repeat),
                (600, Status(500)),
            ],
            "100 200, 500 200, 32100 End",
        ),
        (
            false,
            &[
                (0, Status(100)),
                (500, Repeat),
                (600, Status(200)),
                (32_500, Repeat),
            ],
            "0 100, 500 100, 600 200, 32500 200, 32600 End",
        ),
        (true, &[(100, Status(200))], "100 200, 100 End"),
    ];
    for (reliable, inputs, expected) in table {
        let make = |_| Machine::Server(Server::new(*reliable));
        assert_eq!(timeline(make, inputs), *expected);
    }
}
