//! `<Refer>`: asks the remote party's phone with a REFER to call another address (RFC 3515), and waits
//! for the outcome.
//!
//! The address is looked up first, although the server does not call it: the account may not have a
//! phone call what it may not call itself. **Invariant: every outcome other than success, and other
//! than the end of the leg, is notified to the owner of the account.** Left to others: the REFER and
//! its subscription (SIP side).

use std::time::Duration;

use model::profile::Traffic;
use model::{Bare, Target, Timestamp, error};
use rcml::Refer;

use super::verb::{Running, Site, Step};
use crate::command::{Command, LegCommand};
use crate::context::Context;
use crate::event::{Req, Route, Unreachable};
use crate::fact::Reason;
use crate::trace::Lane;
use model::address::redacted_sip;

/// How long the look-up of the address may take.
const CHECKED_WITHIN: Duration = Duration::from_secs(10);
/// How long the SIP side may take to report an answer: longer than its own time limit, 32 s.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);
/// How long the phone may send no report.
const REPORTED_WITHIN: Duration = Duration::from_secs(60);
/// How long the phone may take to report the outcome.
const DONE_WITHIN: Duration = Duration::from_secs(180);

/// News of a REFER.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReferNews {
    /// Its final response.
    Answered(u16),
    /// A report about the new call.
    Reported {
        /// Its status, if the report can be read.
        status: Option<u16>,
        /// Whether no report follows.
        is_last: bool,
    },
}

/// A `<Refer>` that runs.
struct Referring {
    refer: Refer,
    target: String,
    phase: Phase,
    /// Status of the answer to the REFER.
    answered: Option<u16>,
    /// The last status of the new call.
    reported: Option<u16>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// The address is being looked up.
    Checking { req: Req, until: Timestamp },
    /// The REFER was sent.
    Asking { until: Timestamp },
    /// It was accepted.
    Watching { until: Timestamp, limit: Timestamp },
}

/// `ReferCallStatus`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The address has answered.
    InProgress,
    Busy,
    NoAnswer,
    Failed,
    /// The leg ended before.
    Canceled,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The meaning of the final status of the new call.
    const fn of(status: u16) -> Self {
        match status {
            200..300 => Self::InProgress,
            486 | 600 | 603 => Self::Busy,
            408 | 480 | 487 => Self::NoAnswer,
            _ => Self::Failed,
        }
    }
}

pub(super) fn start(refer: Refer, site: &mut Site<'_>, cx: &mut Context) -> Step {
    let Some(target) = refer.target.clone() else {
        return Step::Next;
    };
    let req = cx.req();
    let check = Command::Resolve {
        req,
        author: site.author(),
        account: site.leg.profile.account,
        traffic: Traffic::OutboundCalls,
        from: None,
        targets: vec![Target::parse(without_headers(&target), Bare::Number)],
    };
    cx.command(site.leg.profile.sid, check);
    let until = cx.now + CHECKED_WITHIN;
    Step::Run(Box::new(Referring {
        refer,
        target,
        phase: Phase::Checking { req, until },
        answered: None,
        reported: None,
    }))
}

/// A SIP URI without its header list; the user part may contain a `?` too.
fn without_headers(uri: &str) -> &str {
    let host = uri.rfind('@').unwrap_or(0);
    let end = uri[host..].find('?').map_or(uri.len(), |at| host + at);
    &uri[..end]
}

impl Running for Referring {
    fn poll_timeout(&self) -> Option<Timestamp> {
        Some(match self.phase {
            Phase::Checking { until, .. } | Phase::Asking { until } => until,
            Phase::Watching { until, limit } => until.min(limit),
        })
    }

    fn handle_timeout(&mut self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        if self.poll_timeout().is_none_or(|until| until > cx.now) {
            return Step::Wait;
        }
        match self.phase {
            Phase::Checking { .. } => {
                let shown = redacted_sip(&self.target);
                let text = format!("`{shown}` could not be looked up in time");
                self.fails(
                    (error::UNREACHABLE_TARGET, &text),
                    Outcome::Failed,
                    site,
                    cx,
                )
            }
            Phase::Asking { .. } => self.refused(408, site, cx),
            Phase::Watching { .. } => self.silent("in time", site, cx),
        }
    }

    fn routes(
        &mut self,
        answered: Req,
        found: &[Result<Vec<Route>, Unreachable>],
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        match self.phase {
            Phase::Checking { req, .. } if req == answered => {}
            _ => return Step::Wait,
        }
        // Only the phone has to find the address.
        if let Some(Err(refusal)) = found.first()
            && refusal.code == error::ADDRESS_REFUSED
        {
            let problem = (refusal.code, refusal.text.as_str());
            return self.fails(problem, Outcome::Failed, site, cx);
        }
        self.phase = Phase::Asking {
            until: cx.now + ANSWERED_WITHIN,
        };
        let target = self.target.clone();
        cx.leg(site.leg.profile.sid, LegCommand::Refer { target });
        Step::Wait
    }

    fn referral(&mut self, news: ReferNews, site: &mut Site<'_>, cx: &mut Context) -> Step {
        match (news, self.phase) {
            (ReferNews::Answered(status), Phase::Asking { .. }) => {
                self.answered = Some(status);
                if !(200..300).contains(&status) {
                    return self.refused(status, site, cx);
                }
                self.phase = Phase::Watching {
                    until: cx.now + REPORTED_WITHIN,
                    limit: cx.now + DONE_WITHIN,
                };
                Step::Wait
            }
            (ReferNews::Reported { status, is_last }, Phase::Watching { limit, .. }) => {
                self.reported = status.or(self.reported);
                if is_last {
                    return self.last_report(site, cx);
                }
                let until = cx.now + REPORTED_WITHIN;
                self.phase = Phase::Watching { until, limit };
                Step::Wait
            }
            // Of a REFER that an earlier document sent.
            _ => Step::Wait,
        }
    }

    fn leg_is_over(&mut self, _reason: Reason, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.done(Some(Outcome::Canceled), site, cx)
    }
}

impl Referring {
    fn last_report(&self, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let status = match self.reported {
            Some(status) if status >= 200 => status,
            _ => return self.silent("before it ended its reports", site, cx),
        };
        match Outcome::of(status) {
            Outcome::InProgress => {
                site.leg.referred();
                self.done(Some(Outcome::InProgress), site, cx)
            }
            outcome => {
                let shown = redacted_sip(&self.target);
                let text = format!("the remote party could not reach `{shown}`: {status}");
                self.fails((error::REFER_FAILED, &text), outcome, site, cx)
            }
        }
    }

    fn refused(&mut self, status: u16, site: &mut Site<'_>, cx: &mut Context) -> Step {
        self.answered = Some(status);
        let text = format!("the remote party refused to be transferred: {status}");
        self.fails((error::REFER_REFUSED, &text), Outcome::Failed, site, cx)
    }

    fn silent(&self, when: &str, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let text = format!("the remote party did not report the outcome of the transfer {when}");
        self.notify((error::REFER_SILENT, &text), site, cx);
        // Without any report, nothing is known about the new call.
        let outcome = self.reported.map(|_| Outcome::NoAnswer);
        self.done(outcome, site, cx)
    }

    fn fails(
        &self,
        problem: (u16, &str),
        outcome: Outcome,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        self.notify(problem, site, cx);
        self.done(Some(outcome), site, cx)
    }

    fn notify(&self, (code, text): (u16, &str), site: &Site<'_>, cx: &mut Context) {
        cx.notify(site.about_line(self.refer.line), code, text);
    }

    /// Requests the action, or continues with the next verb.
    fn done(&self, outcome: Option<Outcome>, site: &mut Site<'_>, cx: &mut Context) -> Step {
        let status = outcome.map(Outcome::as_str);
        let detail = status.unwrap_or("outcome unknown");
        cx.trace(site.leg.profile.sid, Lane::Rcml, "<Refer> ended", detail);
        let Some(written) = &self.refer.action else {
            return Step::Next;
        };
        let Some(url) = site.address(written, cx) else {
            return site.bad_address(cx);
        };
        let more = [
            ("ReferCallStatus", status.map(str::to_owned)),
            (
                "ReferSipResponseCode",
                self.answered.map(|it| it.to_string()),
            ),
            (
                "NotifySipResponseCode",
                self.reported.map(|it| it.to_string()),
            ),
        ];
        let more = more.into_iter();
        let more = more.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        site.act(url, self.refer.method, more, cx)
    }
}
