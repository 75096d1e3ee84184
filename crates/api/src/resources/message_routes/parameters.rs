//! The parameters of routes: what may be sent, and what it changes.

use std::str::FromStr;

use model::message_route::{
    BindMode, Concatenation, Encoding, IdBase, MessageRoute, OnDoubt, RouteKind, RouteSettings,
    SmppSettings,
};

use crate::failure::Failure;
use crate::params::{Params, absolute, shown};
use crate::route::{Is, Param, param};

/// Longest name, login, address or secret, in bytes.
const MAX_TEXT: usize = 254;

pub(super) const KIND: &[Param] = &[param(
    "Kind",
    Is::Word(RouteKind::WORDS),
    "`smpp` (a link), `sip` (the trunk), `http` (a provider) or `client` (the phones of the client whose login is the recipient).",
)
.required()];

pub(super) const PROPERTIES: &[Param] = &[
    param("FriendlyName", Is::Text, "Name to display."),
    param(
        "Enabled",
        Is::Flag,
        "Whether it is used; true if not given.",
    ),
    param(
        "Priority",
        Is::Number,
        "Of several routes, the one with the lowest number is tried first; 100 if not given.",
    ),
    param(
        "FromPrefix",
        Is::Text,
        "Beginning of the senders; empty for all.",
    ),
    param(
        "ToPrefix",
        Is::Text,
        "Beginning of the recipients, without `+`; empty for all.",
    ),
    param(
        "Price",
        Is::Number,
        "Price of a segment in 1/100 000 of a US dollar; 0 if not given.",
    ),
    param(
        "OnDoubt",
        Is::Word(OnDoubt::WORDS),
        "What happens when it is not known whether the provider accepted a message: `resend` (the default; it may arrive twice) or `fail`.",
    ),
    param(
        "Secret",
        Is::Secret,
        "Password of the SMPP login, or key of the signatures for an HTTP provider.",
    ),
];

pub(super) const OF_HTTP: &[Param] = &[param(
    "Url",
    Is::Text,
    "Of `http`: where messages are posted.",
)];

pub(super) const OF_SIP: &[Param] = &[param(
    "Prefix",
    Is::Text,
    "Of `sip`: put in front of the recipient.",
)];

pub(super) const OF_SMPP: &[Param] = &[
    param("Host", Is::Text, "Of `smpp`: name or address of the SMSC."),
    param(
        "Port",
        Is::Number,
        "Of `smpp`: its port; 2775 if not given.",
    ),
    param(
        "Tls",
        Is::Flag,
        "Of `smpp`: whether the connection is encrypted; false if not given.",
    ),
    param(
        "BindMode",
        Is::Word(BindMode::WORDS),
        "Of `smpp`: `transceiver` (the default), `transmitter` or `receiver`.",
    ),
    param("SystemId", Is::Text, "Of `smpp`: the login."),
    param(
        "SystemType",
        Is::Text,
        "Of `smpp`: `system_type` of the bind.",
    ),
    param(
        "ServiceType",
        Is::Text,
        "Of `smpp`: `service_type` of messages.",
    ),
    param(
        "InterfaceVersion",
        Is::Number,
        "Of `smpp`: 51 (0x33), 52 (0x34, the default) or 80 (0x50).",
    ),
    param(
        "Window",
        Is::Number,
        "Of `smpp`: requests without a response at a time, 1 to 1000; 10 if not given.",
    ),
    param(
        "Throughput",
        Is::Number,
        "Of `smpp`: short messages per second; 0, the default, for no limit.",
    ),
    param(
        "SourceTonNpi",
        Is::Text,
        "Of `smpp`: type of number and numbering plan of senders, such as `5,0`; empty: by their form.",
    ),
    param(
        "DestinationTonNpi",
        Is::Text,
        "Of `smpp`: the same for recipients.",
    ),
    param(
        "Encoding",
        Is::Word(Encoding::WORDS),
        "Of `smpp`: alphabet of texts that it can represent: `gsm` (the default), `gsm-packed`, `latin1` or `ucs2`. All other texts are sent in UCS-2.",
    ),
    param(
        "DataCoding",
        Is::Text,
        "Of `smpp`: `data_coding` of that alphabet, if the SMSC uses another number; empty for the usual one.",
    ),
    param(
        "InboundEncoding",
        Is::Word(Encoding::WORDS),
        "Of `smpp`: what the SMSC means by `data_coding` 0; `gsm` if not given.",
    ),
    param(
        "Concatenation",
        Is::Word(Concatenation::WORDS),
        "Of `smpp`: how texts of several segments are sent: `udh8` (the default), `udh16`, `sar` or `payload`.",
    ),
    param(
        "IdBase",
        Is::Word(IdBase::WORDS),
        "Of `smpp`: how the SMSC writes identifiers in answers and receipts, `any` (the default), `same`, `hex-decimal` or `decimal-hex`.",
    ),
    param(
        "Receipts",
        Is::Flag,
        "Of `smpp`: whether receipts are requested; true if not given.",
    ),
    param(
        "EnquireLink",
        Is::Number,
        "Of `smpp`: seconds without a PDU after which the connection is checked, 1 to 3600; 30 if not given.",
    ),
    param(
        "ResponseTimeout",
        Is::Number,
        "Of `smpp`: seconds that a response may take, 1 to 600; 10 if not given.",
    ),
    param(
        "Tlvs",
        Is::Text,
        "Of `smpp`: optional parameters of every message, as `TAG=VALUE` in hexadecimal digits, separated by commas: `1403=0001`.",
    ),
];

/// Applies the parameters that were sent.
pub(super) fn change(params: &Params, route: &mut MessageRoute) -> Result<(), Failure> {
    if let Some(name) = params.name("FriendlyName")? {
        route.name = name;
    }
    keep(&mut route.enabled, params.flag("Enabled")?);
    keep(
        &mut route.priority,
        integer(params, "Priority", 0, 1_000_000)?,
    );
    keep(&mut route.from_prefix, line(params, "FromPrefix")?);
    keep(&mut route.to_prefix, line(params, "ToPrefix")?);
    let digits = route.to_prefix.trim_start_matches('+');
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let reason = "a recipient begins with `+` and digits, or with digits";
        return Err(Failure::parameter("ToPrefix", reason));
    }
    keep(&mut route.price, integer(params, "Price", 0, 100_000_000)?);
    keep(&mut route.on_doubt, word(params, "OnDoubt")?);
    if let Some(secret) = line(params, "Secret")? {
        route.secret = Some(secret).filter(|secret| !secret.is_empty());
    }
    refuse_foreign(params, route.kind())?;
    if let (RouteSettings::Smpp(_), Some(password)) = (&route.settings, &route.secret) {
        fits("Secret", password, 8)?;
    }
    match &mut route.settings {
        RouteSettings::Smpp(link) => change_link(params, link),
        RouteSettings::Sip(trunk) => {
            keep(&mut trunk.prefix, line(params, "Prefix")?);
            Ok(())
        }
        RouteSettings::Http(provider) => {
            keep(&mut provider.url, line(params, "Url")?);
            if absolute(&provider.url).is_none() {
                return Err(Failure::parameter(
                    "Url",
                    "an absolute HTTP or HTTPS address is needed",
                ));
            }
            Ok(())
        }
        RouteSettings::Client => Ok(()),
    }
}

/// Refuses parameters of other kinds of routes: they would have no effect.
fn refuse_foreign(params: &Params, kind: RouteKind) -> Result<(), Failure> {
    let tables = [
        (RouteKind::Http, OF_HTTP),
        (RouteKind::Sip, OF_SIP),
        (RouteKind::Smpp, OF_SMPP),
    ];
    let foreign = tables.iter().filter(|(of, _)| *of != kind);
    for param in foreign.flat_map(|(_, table)| table.iter()) {
        if params.get(param.name).is_some() {
            let reason = format!("a route of kind `{kind}` does not have it");
            return Err(Failure::parameter(param.name, &reason));
        }
    }
    Ok(())
}

fn change_link(params: &Params, link: &mut SmppSettings) -> Result<(), Failure> {
    keep(&mut link.host, line(params, "Host")?);
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    if link.host.is_empty() || !link.host.chars().all(is_host) {
        return Err(Failure::parameter(
            "Host",
            "the name or address of the SMSC is needed",
        ));
    }
    keep(&mut link.port, integer(params, "Port", 1, 65_535)?);
    keep(&mut link.tls, params.flag("Tls")?);
    keep(&mut link.bind, word(params, "BindMode")?);
    keep(&mut link.system_id, line(params, "SystemId")?);
    keep(&mut link.system_type, line(params, "SystemType")?);
    keep(&mut link.service_type, line(params, "ServiceType")?);
    fits("SystemId", &link.system_id, 15)?;
    fits("SystemType", &link.system_type, 12)?;
    fits("ServiceType", &link.service_type, 5)?;
    keep(
        &mut link.version,
        integer(params, "InterfaceVersion", 0x33, 0x50)?,
    );
    if ![0x33, 0x34, 0x50].contains(&link.version) {
        return Err(Failure::parameter(
            "InterfaceVersion",
            "the versions are 51, 52 and 80",
        ));
    }
    keep(&mut link.window, integer(params, "Window", 1, 1_000)?);
    keep(
        &mut link.per_second,
        integer(params, "Throughput", 0, 100_000)?,
    );
    keep(&mut link.source, ton_npi(params, "SourceTonNpi")?);
    keep(&mut link.destination, ton_npi(params, "DestinationTonNpi")?);
    keep(&mut link.encoding, word(params, "Encoding")?);
    if let Some(text) = line(params, "DataCoding")? {
        let number = text.parse().map_err(|_| {
            Failure::parameter("DataCoding", "a number from 0 to 255 is needed, or nothing")
        });
        link.data_coding = if text.is_empty() { None } else { Some(number?) };
    }
    keep(&mut link.inbound_encoding, word(params, "InboundEncoding")?);
    keep(&mut link.concatenation, word(params, "Concatenation")?);
    keep(&mut link.id_base, word(params, "IdBase")?);
    keep(&mut link.receipts, params.flag("Receipts")?);
    keep(
        &mut link.enquire_s,
        integer(params, "EnquireLink", 1, 3_600)?,
    );
    keep(
        &mut link.response_s,
        integer(params, "ResponseTimeout", 1, 600)?,
    );
    keep(&mut link.tlvs, tlvs(params)?);
    Ok(())
}

fn keep<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(super) fn word<T: FromStr>(params: &Params, name: &str) -> Result<Option<T>, Failure> {
    let Some(text) = params.word(name) else {
        return Ok(None);
    };
    let word = text
        .parse()
        .map_err(|_| Failure::parameter(name, "it is not one of the words"));
    word.map(Some)
}

/// A number within limits.
fn integer<T: TryFrom<i64>>(
    params: &Params,
    name: &str,
    from: i64,
    to: i64,
) -> Result<Option<T>, Failure> {
    let Some(text) = params.filled(name) else {
        return Ok(None);
    };
    let number: Option<i64> = text.trim().parse().ok();
    let number = number.filter(|number| (from..=to).contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    let reason = format!("`{}` is not a number from {from} to {to}", shown(text));
    number
        .map(Some)
        .ok_or_else(|| Failure::parameter(name, &reason))
}

/// A text in one line.
fn line(params: &Params, name: &str) -> Result<Option<String>, Failure> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    crate::params::one_line(name, text)?;
    if text.len() > MAX_TEXT {
        let reason = format!("at most {MAX_TEXT} bytes are allowed");
        return Err(Failure::parameter(name, &reason));
    }
    Ok(Some(text.trim().to_owned()))
}

/// Refuses what an SMPP field has no room for (SMPP 3.4 §5.2, without the octet that ends it).
fn fits(name: &str, text: &str, longest: usize) -> Result<(), Failure> {
    if text.len() <= longest && text.is_ascii() {
        return Ok(());
    }
    let reason = format!("SMPP allows at most {longest} ASCII characters");
    Err(Failure::parameter(name, &reason))
}

/// Type of number and numbering plan; empty: by the form of the address.
fn ton_npi(params: &Params, name: &str) -> Result<Option<Option<(u8, u8)>>, Failure> {
    let Some(text) = line(params, name)? else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(Some(None));
    }
    let both = text.split_once(',').and_then(|(ton, npi)| {
        let both: (u8, u8) = (ton.trim().parse().ok()?, npi.trim().parse().ok()?);
        (both.0 < 8 && both.1 < 32).then_some(both)
    });
    let reason = "two numbers with a comma between them are needed, such as `1,1`";
    both.map(|both| Some(Some(both)))
        .ok_or_else(|| Failure::parameter(name, reason))
}

fn tlvs(params: &Params) -> Result<Option<Vec<(u16, String)>>, Failure> {
    let Some(text) = line(params, "Tlvs")? else {
        return Ok(None);
    };
    let read = |tlv: &str| {
        let (tag, value) = tlv.trim().split_once('=')?;
        let is_hex = value.len().is_multiple_of(2) && value.bytes().all(|b| b.is_ascii_hexdigit());
        let tag = u16::from_str_radix(tag, 16).ok()?;
        is_hex.then(|| (tag, value.to_owned()))
    };
    let tlvs: Option<Vec<_>> = text
        .split(',')
        .filter(|tlv| !tlv.is_empty())
        .map(read)
        .collect();
    let reason = "`TAG=VALUE` in hexadecimal digits is needed, such as `1403=0001`";
    tlvs.map(Some)
        .ok_or_else(|| Failure::parameter("Tlvs", reason))
}
