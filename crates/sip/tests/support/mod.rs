//! A server with one client and an engine that answers every call, for tests on real sockets.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sip::{
    Caller, Directory, DirectoryError, IncomingCall, LegCommand, LegEvent, LegId, Secret, Sip,
    SipConfig,
};
use sip_proto::digest::{ha1_md5, ha1_sha256};
use tokio::sync::mpsc;

pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                       m=audio 40000 RTP/AVP 0\r\n";
pub(crate) const REALM: &str = "example.com";
pub(crate) const LOGIN: &str = "kim";
pub(crate) const PASSWORD: &str = "opensesame";

/// Knows `kim`.
pub(crate) struct OneClient;

#[async_trait::async_trait]
impl Directory for OneClient {
    async fn credentials(
        &self,
        login: &str,
        domain: &str,
    ) -> Result<Option<Secret>, DirectoryError> {
        // A store takes a moment.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if login == "broken" {
            return Err(DirectoryError("disk full".to_owned()));
        }
        Ok((login == LOGIN && domain == REALM).then(|| Secret {
            ha1_md5: ha1_md5(LOGIN, REALM, PASSWORD),
            ha1_sha256: ha1_sha256(LOGIN, REALM, PASSWORD),
            credential: "c1".to_owned(),
        }))
    }
}

pub(crate) fn config() -> SipConfig {
    SipConfig {
        udp: SocketAddr::from(([127, 0, 0, 1], 0)),
        tcp: SocketAddr::from(([127, 0, 0, 1], 0)),
        domain: REALM.to_owned(),
        ..SipConfig::default()
    }
}

pub(crate) async fn server() -> (Sip, mpsc::Receiver<IncomingCall>) {
    Sip::bind(config(), Arc::new(OneClient))
        .await
        .expect("free ports")
}

/// What the answering engine has counted.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicUsize,
    pub(crate) acked: AtomicUsize,
    pub(crate) byes: AtomicUsize,
    pub(crate) canceled: AtomicUsize,
    pub(crate) reinvites: AtomicUsize,
    pub(crate) infos: AtomicUsize,
    pub(crate) failed: AtomicUsize,
}

impl Counts {
    pub(crate) fn get(counter: &AtomicUsize) -> usize {
        counter.load(Ordering::SeqCst)
    }
}

/// How the engine treats each called user.
fn opening(sip: &Sip, call: &IncomingCall) {
    let none = Vec::new;
    let answer = LegCommand::Answer {
        sdp: SDP.to_owned(),
        headers: none(),
    };
    let ring = LegCommand::Progress {
        status: 180,
        headers: none(),
    };
    let refuse = |status| LegCommand::Reject {
        status,
        reason: None,
        headers: none(),
    };
    match call.called_user.as_str() {
        _ if !call.body_type_ok => sip.send(call.leg, refuse(415)),
        "busy" => sip.send(call.leg, refuse(486)),
        "ring" => sip.send(call.leg, ring),
        "private" if !matches!(call.caller, Caller::Client { .. }) => {
            sip.challenge(call.leg, false);
        }
        _ => {
            sip.send(call.leg, ring);
            sip.send(call.leg, answer);
        }
    }
}

/// Answers every call until the server ends. For `hangup`, we hang up once the call is established.
pub(crate) fn answer_all(sip: &Sip, mut calls: mpsc::Receiver<IncomingCall>) -> Arc<Counts> {
    let counts = Arc::new(Counts::default());
    let (seen, sip) = (Arc::clone(&counts), sip.clone());
    tokio::spawn(async move {
        let (events, mut heard) = mpsc::unbounded_channel::<(LegId, LegEvent)>();
        let mut to_hang_up = Vec::new();
        loop {
            tokio::select! {
                call = calls.recv() => {
                    let Some(call) = call else { return };
                    seen.calls.fetch_add(1, Ordering::SeqCst);
                    if call.called_user == "hangup" {
                        to_hang_up.push(call.leg);
                    }
                    sip.accept(call.leg, events.clone());
                    opening(&sip, &call);
                }
                Some((leg, event)) = heard.recv() => {
                    count(&seen, &event);
                    follow_up(&sip, leg, &event, &to_hang_up);
                }
            }
        }
    });
    counts
}

fn follow_up(sip: &Sip, leg: LegId, event: &LegEvent, to_hang_up: &[LegId]) {
    match event {
        LegEvent::Acked { .. } if to_hang_up.contains(&leg) => {
            sip.send(
                leg,
                LegCommand::Bye {
                    headers: Vec::new(),
                },
            );
        }
        LegEvent::Reinvite { .. } => {
            let sdp = SDP.to_owned();
            sip.send(
                leg,
                LegCommand::AnswerReinvite {
                    sdp,
                    headers: Vec::new(),
                },
            );
        }
        _ => {}
    }
}

fn count(counts: &Counts, event: &LegEvent) {
    let counter = match event {
        LegEvent::Acked { .. } => &counts.acked,
        LegEvent::Bye { .. } | LegEvent::ByeDone { .. } => &counts.byes,
        LegEvent::Canceled => &counts.canceled,
        LegEvent::Reinvite { .. } => &counts.reinvites,
        LegEvent::Info { .. } => &counts.infos,
        LegEvent::NoAck | LegEvent::Lost => &counts.failed,
        _ => return,
    };
    counter.fetch_add(1, Ordering::SeqCst);
}
