//! The permissions of the roles of accounts.

use std::collections::BTreeMap;

/// The role with all permissions.
pub(crate) const ADMINISTRATOR: &str = "Administrator";

/// Kinds of resources that no API key may use: they hold or make other credentials.
pub(crate) const CLOSED_TO_KEYS: &[&str] = &["Accounts", "Keys"];

/// An action on a kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Read,
    Modify,
    Delete,
}

impl Action {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Modify => "Modify",
            Self::Delete => "Delete",
        }
    }
}

/// Permissions of each role, written `RestComm:Actions:Target` with comma lists and `*`.
#[derive(Debug, Clone)]
pub struct Roles(BTreeMap<String, Vec<String>>);

const DEVELOPER: &[&str] = &[
    "RestComm:*:Accounts",
    "RestComm:*:Applications",
    "RestComm:*:Announcements",
    "RestComm:Read:AuditLog",
    "RestComm:Read:AvailablePhoneNumbers",
    "RestComm:*:Calls",
    "RestComm:*:Clients",
    "RestComm:*:Conferences",
    "RestComm:Create,Delete,Read:Faxes",
    "RestComm:*:IncomingPhoneNumbers",
    "RestComm:*:Keys",
    "RestComm:Read:Notifications",
    "RestComm:*:OutgoingCallerIds",
    "RestComm:*:Queues",
    "RestComm:Delete,Read:Recordings",
    "RestComm:Read,Modify:SandBoxes",
    "RestComm:*:ShortCodes",
    "RestComm:Read:SmsMessages",
    "RestComm:Read:Transcriptions",
    "RestComm:*:OutboundProxies",
    "RestComm:*:EmailMessages",
    "RestComm:*:Usage",
    "RestComm:*:Geolocation",
    "RestComm:Read,Modify:Webhooks",
];

impl Default for Roles {
    fn default() -> Self {
        Self(BTreeMap::new()).with("Developer", DEVELOPER)
    }
}

impl Roles {
    /// Adds or replaces a role. `Administrator` cannot be restricted.
    #[must_use]
    pub fn with(mut self, name: &str, permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|text| (*text).to_owned()).collect();
        self.0.insert(name.to_owned(), permissions);
        self
    }

    /// Whether a role permits an action.
    pub(crate) fn allow(&self, role: &str, action: Action, target: &str) -> bool {
        role == ADMINISTRATOR
            || self
                .0
                .get(role)
                .is_some_and(|all| all.iter().any(|one| grants(one, action, target)))
    }
}

/// Whether a list of `Action:Kind`, separated by spaces, permits an action.
pub(crate) fn permits(permissions: &str, action: Action, target: &str) -> bool {
    permissions.split(' ').any(|permission| {
        permission.split_once(':').is_some_and(|(actions, kind)| {
            (actions == "*" || actions == action.as_str()) && (kind == "*" || kind == target)
        })
    })
}

fn grants(permission: &str, action: Action, target: &str) -> bool {
    let parts: Vec<&str> = permission.split(':').collect();
    let named =
        |list: &str, name: &str| list.split(',').any(|one| one == "*" || one.trim() == name);
    match parts[..] {
        [domain, actions, targets] => {
            named(domain, "RestComm") && named(actions, action.as_str()) && named(targets, target)
        }
        [domain, actions] => named(domain, "RestComm") && named(actions, action.as_str()),
        [domain] => domain == "*",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_name_actions_and_targets() {
        let roles = Roles::default().with("Reader", &["RestComm:Read:Accounts,Calls"]);
        let table = [
            ("Administrator", Action::Delete, "Anything", true),
            ("Developer", Action::Create, "Clients", true),
            ("Developer", Action::Create, "SmsMessages", false),
            ("Developer", Action::Delete, "Recordings", true),
            ("Developer", Action::Create, "Recordings", false),
            ("Reader", Action::Read, "Calls", true),
            ("Reader", Action::Modify, "Calls", false),
            ("Reader", Action::Read, "Clients", false),
            ("Guest", Action::Read, "Accounts", false),
            ("", Action::Read, "Accounts", false),
        ];
        for (role, action, target, allowed) in table {
            assert_eq!(
                roles.allow(role, action, target),
                allowed,
                "{role} {target}"
            );
        }
    }
    /// As `docs/rest.md` describes.
    #[test]
    fn developers_may_do_everything_but_send_text_messages() {
        let roles = Roles::default();
        let routes = crate::resources::ROUTES.iter().copied().flatten();
        let refused: Vec<_> = routes
            .filter(|route| !roles.allow("Developer", route.action, route.target))
            .map(|route| (route.action, route.target))
            .collect();
        assert_eq!(refused, [(Action::Create, "SmsMessages")]);
    }
}
