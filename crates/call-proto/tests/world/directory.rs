//! Numbers, clients and accounts, and what routing makes of an INVITE.

use std::collections::BTreeMap;

use call_proto::routing::{self, Decision, Lookups};
use model::record::{Client, Number, VoiceApplication};
use model::{
    AccountSid, AccountStatus, ClientSid, HttpMethod, NumberSid, OrganizationSid, Timestamp,
};

use super::Caller;

#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) numbers: Vec<(Number, AccountStatus)>,
    pub(crate) clients: Vec<(Client, AccountStatus)>,
    /// Whether there is a trunk to the outside.
    pub(crate) trunk: bool,
}

impl Directory {
    pub(crate) fn new() -> Self {
        Self {
            numbers: vec![number("+1000")],
            clients: Vec::new(),
            trunk: true,
        }
    }

    /// The decision for an INVITE, with or without proof of who sent it.
    pub(crate) fn route(&self, caller: &Caller, called: &str, proved: bool) -> Decision {
        let by_login = |login: &str| {
            self.clients
                .iter()
                .find(|(client, _)| client.login == login)
                .cloned()
        };
        let (user, host) = called.split_once('@').unwrap_or((called, ""));
        let number = model::number::candidates(user)
            .iter()
            .find_map(|spelling| {
                self.numbers
                    .iter()
                    .find(|(number, _)| number.phone_number == *spelling)
            })
            .cloned();
        routing::route(&Lookups {
            caller: match (caller.by_trunk, proved) {
                (true, _) => routing::Caller::Trunk,
                (false, true) => routing::Caller::Client,
                (false, false) => routing::Caller::Unknown,
            },
            from_client: by_login(&caller.user),
            to_client: by_login(user),
            number,
            called: user.to_owned(),
            foreign: (!host.is_empty()).then(|| format!("sip:{called}")),
            has_outbound_proxy: self.trunk,
            headers: caller.headers.clone(),
        })
    }
}

/// The account of this number.
pub(crate) fn account(number: u8) -> AccountSid {
    AccountSid::from_bytes([number; 16])
}

/// A number that anyone may call, with the document at `http://app/v`.
pub(crate) fn number(phone_number: &str) -> (Number, AccountStatus) {
    let number = Number {
        sid: NumberSid::from_bytes([2; 16]),
        account: account(1),
        organization: OrganizationSid::from_bytes([9; 16]),
        friendly_name: String::new(),
        phone_number: phone_number.to_owned(),
        pure_sip: true,
        public: true,
        voice: VoiceApplication {
            url: Some("http://app/v".to_owned()),
            method: Some(HttpMethod::Get),
            ..VoiceApplication::default()
        },
        status_callback: None,
        status_callback_method: None,
        voice_caller_id_lookup: false,
        extra: BTreeMap::new(),
        created: Timestamp(0),
        updated: Timestamp(0),
    };
    (number, AccountStatus::Active)
}

/// A client of the same account, without a document of its own.
pub(crate) fn client(login: &str) -> (Client, AccountStatus) {
    let client = Client {
        sid: ClientSid::from_bytes([3; 16]),
        account: account(1),
        organization: OrganizationSid::from_bytes([9; 16]),
        friendly_name: login.to_owned(),
        login: login.to_owned(),
        ha1_md5: String::new(),
        ha1_sha256: String::new(),
        enabled: true,
        voice: VoiceApplication::default(),
        created: Timestamp(0),
        updated: Timestamp(0),
    };
    (client, AccountStatus::Active)
}
