//! Which routes a text message may leave by, and in which order: a pure function of the rows.

use std::cmp::Reverse;

use model::AccountSid;
use model::message_route::{BindMode, MessageRoute, RouteSettings};

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Sender.
    pub from: &'a str,
    /// Recipient.
    pub to: &'a str,
    /// The message's account, and those above it.
    pub accounts: &'a [AccountSid],
}

/// The routes of a message, the one to be tried first in front: by priority, then by the longer prefix of
/// the recipient, then of the sender, then the older one.
#[must_use]
pub fn choose<'a>(routes: &'a [MessageRoute], ask: Ask) -> Vec<&'a MessageRoute> {
    let fits = |route: &&MessageRoute| {
        route.enabled
            && can_send(&route.settings)
            && ask.accounts.contains(&route.account)
            && begins(ask.to, &route.to_prefix)
            && begins(ask.from, &route.from_prefix)
    };
    let mut found: Vec<&MessageRoute> = routes.iter().filter(fits).collect();
    found.sort_by_key(|route| {
        let (to, from) = (bare(&route.to_prefix).len(), bare(&route.from_prefix).len());
        (
            route.priority,
            Reverse(to),
            Reverse(from),
            route.created,
            route.sid,
        )
    });
    found
}

/// Whether messages can leave by it: a receiver only takes.
const fn can_send(settings: &RouteSettings) -> bool {
    match settings {
        RouteSettings::Smpp(link) => !matches!(link.bind, BindMode::Receiver),
        RouteSettings::Sip(_) | RouteSettings::Http(_) | RouteSettings::Client => true,
    }
}

/// Whether an address begins so; a `+` in front of either does not count.
fn begins(address: &str, prefix: &str) -> bool {
    let address = bare(address).to_ascii_lowercase();
    address.starts_with(&bare(prefix).to_ascii_lowercase())
}

fn bare(text: &str) -> &str {
    text.trim_start_matches('+')
}

#[cfg(test)]
mod tests {
    use model::message_route::{OnDoubt, SmppSettings};
    use model::{MessageRouteSid, Timestamp};

    use super::*;

    fn account(n: u8) -> AccountSid {
        AccountSid::from_bytes([n; 16])
    }

    /// Account, priority, recipient and sender.
    fn route(name: &str, of: u8, priority: i64, to: &str, from: &str) -> MessageRoute {
        MessageRoute {
            sid: MessageRouteSid::from_bytes([name.as_bytes()[0]; 16]),
            account: account(of),
            name: name.to_owned(),
            enabled: true,
            priority,
            from_prefix: from.to_owned(),
            to_prefix: to.to_owned(),
            price: 0,
            on_doubt: OnDoubt::Resend,
            settings: RouteSettings::Client,
            secret: None,
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    #[test]
    fn the_order_is_that_of_the_rows() {
        let mut off = route("x", 1, 0, "", "");
        off.enabled = false;
        let mut receiver = route("r", 1, 0, "", "");
        receiver.settings = RouteSettings::Smpp(SmppSettings {
            bind: BindMode::Receiver,
            ..SmppSettings::default()
        });
        let routes = [
            route("all", 1, 10, "", ""),
            route("germany", 1, 10, "+49", ""),
            route("mobile", 1, 10, "4915", ""),
            route("first", 1, 1, "44", ""),
            route("shop", 1, 10, "49", "Shop"),
            route("below", 2, 5, "", ""),
            off,
            receiver,
        ];
        for (from, to, accounts, expected) in [
            ("+1", "+4915123", &[1][..], "mobile germany all"),
            ("SHOP7", "4930", &[1], "shop germany all"),
            ("+1", "+4420", &[1], "first all"),
            ("+1", "+33", &[2, 1], "below all"),
            ("+1", "+33", &[3], ""),
        ] {
            let accounts: Vec<AccountSid> = accounts.iter().map(|n| account(*n)).collect();
            let ask = Ask {
                from,
                to,
                accounts: &accounts,
            };
            let names: Vec<&str> = choose(&routes, ask)
                .iter()
                .map(|r| r.name.as_str())
                .collect();
            assert_eq!(names.join(" "), expected, "{from} {to}");
        }
    }
}
