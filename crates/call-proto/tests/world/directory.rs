//! Numbers, clients and accounts, and the routing of an INVITE.

use std::collections::BTreeMap;
use std::sync::Arc;

use call_proto::routing::{self, Decision, House, Invitation, Numbers, Rows, Standing, Want};
use model::profile::Limits;
use model::record::{Client, Number, VoiceApplication};
use model::{
    AccountSid, AccountStatus, ClientSid, HttpMethod, NumberSid, OrganizationSid, Timestamp,
};

use super::Caller;

/// The only organization.
const HERE: OrganizationSid = OrganizationSid::from_bytes([9; 16]);

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

    /// The decision for an INVITE from an authenticated or unauthenticated sender.
    pub(crate) fn route(&self, caller: &Caller, called: &str, proved: bool) -> Decision {
        let (user, host) = called.split_once('@').unwrap_or((called, ""));
        let invitation = Invitation {
            caller: match (caller.by_trunk, proved) {
                (true, _) => routing::Caller::Trunk,
                (false, true) => routing::Caller::Client {
                    login: caller.user.clone(),
                },
                (false, false) => routing::Caller::Unknown,
            },
            from_user: caller.user.clone(),
            from_organization: HERE,
            from_here: true,
            from_registered: true,
            called_organization: None,
            called_user: user.to_owned(),
            called_here: host.is_empty(),
            request_uri: format!("sip:{called}"),
            to_user: user.to_owned(),
            headers: caller.headers.clone(),
            body_type_ok: true,
        };
        let house = House {
            public_base: "http://pbx.example",
            has_outbound_proxy: self.trunk,
        };
        let mut rows = Rows::default();
        loop {
            match routing::route(&invitation, house, &rows) {
                Ok(decision) => return decision,
                Err(want) => self.fetch(want, &mut rows),
            }
        }
    }

    fn fetch(&self, want: Want, rows: &mut Rows) {
        match want {
            Want::Client(organization, login) => {
                let mut clients = self.clients.iter().map(|(client, _)| client);
                let client = clients.find(|client| client.login == login).cloned();
                rows.add_client(organization, login, client.map(Arc::new));
            }
            Want::Mask { number, .. } => rows.add_mask(number, None),
            Want::Turn { session, .. } => rows.add_turn(session, true),
            Want::Limits(sid) => rows.add_limits(sid, Limits::default()),
            Want::Numbers {
                organization,
                dialled,
                spellings,
            } => {
                let stored = |spelling: &String| {
                    let mut numbers = self.numbers.iter().map(|(number, _)| number);
                    numbers.find(|number| number.phone_number == *spelling)
                };
                let exact = spellings.iter().filter_map(stored);
                let found = Numbers {
                    exact: exact.cloned().map(Arc::new).collect(),
                    ..Numbers::default()
                };
                rows.add_numbers((organization, dialled), &spellings, found);
            }
            Want::Account(sid) => {
                let numbers = self
                    .numbers
                    .iter()
                    .map(|(number, status)| (number.account, status));
                let clients = self
                    .clients
                    .iter()
                    .map(|(client, status)| (client.account, status));
                // A test changes the status by way of one of the account's rows.
                let mut of_it = numbers
                    .chain(clients)
                    .filter(|(account, _)| *account == sid)
                    .map(|(_, status)| *status);
                let inactive = of_it
                    .clone()
                    .find(|status| *status != AccountStatus::Active);
                let status = inactive.or_else(|| of_it.next());
                let standing = status.map(|status| Standing {
                    status,
                    parent: None,
                    is_test: false,
                });
                rows.add_account(sid, standing);
            }
            // No row of a test has an application.
            Want::Application(sid) => rows.add_application(sid, None),
        }
    }
}

/// The account with this number.
pub(crate) fn account(number: u8) -> AccountSid {
    AccountSid::from_bytes([number; 16])
}

/// A number that anyone may call, with the document at `http://app/v`.
pub(crate) fn number(phone_number: &str) -> (Number, AccountStatus) {
    let number = Number {
        sid: NumberSid::from_bytes([2; 16]),
        account: account(1),
        organization: HERE,
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

/// A client of the same account, without its own document.
pub(crate) fn client(login: &str) -> (Client, AccountStatus) {
    let client = Client {
        sid: ClientSid::from_bytes([3; 16]),
        account: account(1),
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
    };
    (client, AccountStatus::Active)
}
