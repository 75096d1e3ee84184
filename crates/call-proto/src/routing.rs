//! Who an inbound call is for, and whether its caller may call there.
//!
//! **Invariant: From alone gives nobody any right.** A number can be called by a trunk, by a
//! client that proved itself, or by anyone if it is flagged public; a user part that names a
//! client must be proved. Left to others: finding the rows ([`Lookups`]) and checking digests.

use model::record::{Client, Number, VoiceApplication};
use model::{AccountSid, AccountStatus, NumberSid, error};
use rcml::{Branch, Dial, Noun, Verb};

use crate::callback::CallbackTarget;
use crate::event::Headers;

/// Longest client-to-client call without a document, in seconds.
const PEER_LIMIT_S: u32 = 3_600;

/// Who sent the INVITE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Caller {
    /// Nobody we know.
    Unknown,
    /// Credentials were sent and are wrong or outdated.
    Unproved,
    /// A client, by digest.
    Client,
    /// A trunk, by its address.
    Trunk,
}

/// The rows that matter for an INVITE.
#[derive(Clone, Debug)]
pub struct Lookups {
    /// Who sent it.
    pub caller: Caller,
    /// The client that proved itself, or else the one that From names.
    pub from_client: Option<(Client, AccountStatus)>,
    /// The client that is called.
    pub to_client: Option<(Client, AccountStatus)>,
    /// The number that is called; looked up when no client is.
    pub number: Option<(Number, AccountStatus)>,
    /// Called user part.
    pub called: String,
    /// The called SIP address, if its host is not ours.
    pub foreign: Option<String>,
    /// Whether there is a trunk for calls to the outside.
    pub has_outbound_proxy: bool,
    /// `X-` headers of the INVITE: they travel with implicit dials.
    pub headers: Headers,
}

/// What becomes of the INVITE.
#[derive(Clone, PartialEq, Debug)]
pub enum Decision {
    /// The caller has to prove who it is.
    Challenge,
    /// The call is refused.
    Refuse(Refusal),
    /// A document runs.
    Run(Box<Run>),
    /// Somebody is dialled without a document.
    Dial {
        /// Account the call runs under.
        account: AccountSid,
        /// The dial.
        verbs: Vec<Verb>,
        /// Answer the caller only when it connects.
        answer_on_bridge: bool,
    },
}

/// Why a call is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Final SIP status.
    pub sip_status: u16,
    /// Number of the error table.
    pub code: u16,
    /// For people.
    pub text: String,
    /// Whose notification it is; `None` if nobody's.
    pub account: Option<AccountSid>,
}

/// A document that runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Account the call runs under.
    pub account: AccountSid,
    /// Account that chose the address: its rights count when it is asked.
    pub owner: AccountSid,
    /// Number that was called.
    pub number: Option<NumberSid>,
    /// Where the document is.
    pub voice: VoiceApplication,
    /// Told each status.
    pub status_callback: Option<CallbackTarget>,
}

/// Decides about an INVITE.
#[must_use]
pub fn route(call: &Lookups) -> Decision {
    let proves_nothing = match call.caller {
        Caller::Unknown | Caller::Unproved => true,
        Caller::Client | Caller::Trunk => false,
    };
    if call.caller != Caller::Trunk
        && let Some((client, status)) = &call.from_client
    {
        if *status != AccountStatus::Active {
            return inactive(client.account);
        }
        if proves_nothing || !client.enabled {
            return Decision::Challenge;
        }
        if has_application(&client.voice) {
            return run_client(client);
        }
    }
    if call.caller == Caller::Unproved {
        return Decision::Challenge;
    }
    let by = match (&call.caller, &call.from_client) {
        (Caller::Client, Some((client, _))) => Some(client),
        _ => None,
    };
    if let Some((callee, status)) = &call.to_client {
        return to_client(call, by, callee, *status);
    }
    if let Some((number, status)) = &call.number {
        return to_number(call, by, number, *status);
    }
    match by {
        Some(client) => to_outside(call, client),
        None => Decision::Refuse(not_here(call, None)),
    }
}

fn to_client(
    call: &Lookups,
    by: Option<&Client>,
    callee: &Client,
    status: AccountStatus,
) -> Decision {
    if status != AccountStatus::Active {
        return inactive(callee.account);
    }
    let mut branch = Branch::new(callee.login.clone());
    branch.headers.clone_from(&extra(&call.headers));
    let mut dial = Dial::new(vec![Noun::Client(branch)]);
    match by {
        Some(client) => {
            dial.time_limit_s = PEER_LIMIT_S;
            implicit(client.account, dial, true)
        }
        None => implicit(callee.account, dial, false),
    }
}

fn to_number(
    call: &Lookups,
    by: Option<&Client>,
    number: &Number,
    status: AccountStatus,
) -> Decision {
    if status != AccountStatus::Active {
        return inactive(number.account);
    }
    if call.caller == Caller::Unknown && !number.public {
        return Decision::Challenge;
    }
    if !has_application(&number.voice) {
        return Decision::Refuse(Refusal {
            sip_status: 404,
            code: error::NO_APPLICATION,
            text: format!("{} has no voice application", number.phone_number),
            account: Some(number.account),
        });
    }
    let status_callback = number.status_callback.clone().map(|url| CallbackTarget {
        url,
        method: number
            .status_callback_method
            .unwrap_or(model::HttpMethod::Post),
        author: number.account,
    });
    Decision::Run(Box::new(Run {
        account: by.map_or(number.account, |client| client.account),
        owner: number.account,
        number: Some(number.sid),
        voice: number.voice.clone(),
        status_callback,
    }))
}

fn to_outside(call: &Lookups, client: &Client) -> Decision {
    let noun = match &call.foreign {
        Some(uri) => Noun::Sip(with_headers(call, uri)),
        None if call.has_outbound_proxy => Noun::Number(with_headers(call, &call.called)),
        None => return Decision::Refuse(not_here(call, Some(client.account))),
    };
    implicit(client.account, Dial::new(vec![noun]), true)
}

fn with_headers(call: &Lookups, target: &str) -> Branch {
    let mut branch = Branch::new(target);
    branch.headers.clone_from(&extra(&call.headers));
    branch
}

fn extra(headers: &Headers) -> Headers {
    headers
        .iter()
        .filter(|(name, _)| name.starts_with("X-"))
        .cloned()
        .collect()
}

fn implicit(account: AccountSid, dial: Dial, answer_on_bridge: bool) -> Decision {
    Decision::Dial {
        account,
        verbs: vec![Verb::Dial(Box::new(dial))],
        answer_on_bridge,
    }
}

fn run_client(client: &Client) -> Decision {
    Decision::Run(Box::new(Run {
        account: client.account,
        owner: client.account,
        number: None,
        voice: client.voice.clone(),
        status_callback: None,
    }))
}

fn has_application(voice: &VoiceApplication) -> bool {
    voice.application.is_some() || voice.url.as_ref().is_some_and(|url| !url.is_empty())
}

fn inactive(account: AccountSid) -> Decision {
    Decision::Refuse(Refusal {
        sip_status: 403,
        code: error::NO_HANDLER,
        text: "the account is not active".to_owned(),
        account: Some(account),
    })
}

fn not_here(call: &Lookups, account: Option<AccountSid>) -> Refusal {
    Refusal {
        sip_status: 404,
        code: error::NO_HANDLER,
        text: format!("`{}` is neither a client nor a number here", call.called),
        account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ClientSid, OrganizationSid, Timestamp};

    fn account(n: u8) -> AccountSid {
        AccountSid::from_bytes([n; 16])
    }

    fn client(login: &str, url: Option<&str>) -> Client {
        Client {
            sid: ClientSid::from_bytes([1; 16]),
            account: account(1),
            organization: OrganizationSid::from_bytes([9; 16]),
            friendly_name: login.to_owned(),
            login: login.to_owned(),
            ha1_md5: String::new(),
            ha1_sha256: String::new(),
            enabled: true,
            voice: VoiceApplication {
                url: url.map(str::to_owned),
                ..Default::default()
            },
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    fn number(public: bool, url: Option<&str>) -> Number {
        Number {
            sid: NumberSid::from_bytes([2; 16]),
            account: account(2),
            organization: OrganizationSid::from_bytes([9; 16]),
            friendly_name: String::new(),
            phone_number: "+1000".to_owned(),
            pure_sip: true,
            public,
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

    fn said(decision: &Decision) -> String {
        match decision {
            Decision::Challenge => "challenge".to_owned(),
            Decision::Refuse(refusal) => format!("{} {}", refusal.sip_status, refusal.code),
            Decision::Run(run) => format!("run as {}", run.account.as_bytes()[0]),
            Decision::Dial {
                verbs,
                answer_on_bridge,
                ..
            } => match &verbs[..] {
                [Verb::Dial(dial)] => format!("dial {} {answer_on_bridge}", dial.nouns[0].name()),
                _ => String::new(),
            },
        }
    }

    #[test]
    fn decides_by_proof_and_rows() {
        let url = Some("http://app/v");
        let active = AccountStatus::Active;
        let closed = AccountStatus::Closed;
        let kim = || Some((client("kim", None), active));
        let ann = |status| Some((client("ann", None), status));
        let row = |public, url, status| Some((number(public, url), status));
        let table = [
            (
                Caller::Unknown,
                None,
                None,
                row(false, url, active),
                false,
                "challenge",
            ),
            (
                Caller::Unknown,
                None,
                None,
                row(true, url, active),
                false,
                "run as 2",
            ),
            (
                Caller::Trunk,
                None,
                None,
                row(false, url, active),
                false,
                "run as 2",
            ),
            (
                Caller::Trunk,
                kim(),
                None,
                row(false, url, active),
                false,
                "run as 2",
            ),
            (
                Caller::Unknown,
                kim(),
                None,
                row(true, url, active),
                false,
                "challenge",
            ),
            (
                Caller::Unproved,
                kim(),
                None,
                row(true, url, active),
                false,
                "challenge",
            ),
            (
                Caller::Unproved,
                None,
                None,
                row(true, url, active),
                false,
                "challenge",
            ),
            (
                Caller::Client,
                kim(),
                None,
                row(false, url, active),
                false,
                "run as 1",
            ),
            (
                Caller::Client,
                kim(),
                None,
                row(false, None, active),
                false,
                "404 11007",
            ),
            (
                Caller::Client,
                kim(),
                None,
                row(false, url, closed),
                false,
                "403 11005",
            ),
            (
                Caller::Client,
                kim(),
                ann(active),
                None,
                false,
                "dial Client true",
            ),
            (Caller::Client, kim(), ann(closed), None, false, "403 11005"),
            (
                Caller::Unknown,
                None,
                ann(active),
                None,
                false,
                "dial Client false",
            ),
            (Caller::Client, kim(), None, None, true, "dial Number true"),
            (Caller::Client, kim(), None, None, false, "404 11005"),
            (Caller::Unknown, None, None, None, true, "404 11005"),
            (
                Caller::Unknown,
                Some((client("kim", None), closed)),
                None,
                None,
                false,
                "403 11005",
            ),
            (
                Caller::Client,
                Some((client("kim", url), active)),
                ann(closed),
                None,
                false,
                "run as 1",
            ),
        ];
        for (at, (caller, from_client, to_client, number, proxy, expected)) in
            table.into_iter().enumerate()
        {
            let decision = route(&Lookups {
                caller,
                from_client,
                to_client,
                number,
                called: "x".to_owned(),
                foreign: None,
                has_outbound_proxy: proxy,
                headers: Headers::new(),
            });
            assert_eq!(said(&decision), expected, "row {at}");
        }
    }
}
