//! The callback about an interaction that is over.
//!
//! **Invariant: it names participants by their identifiers, never by their numbers.**

use crate::arrival::Kind;
use crate::records::Interaction;

/// The parameters, with the names of Twilio's Proxy.
#[must_use]
pub fn report(interaction: &Interaction) -> Vec<(String, String)> {
    let resource = match interaction.kind {
        Kind::Voice => "call",
        Kind::Message => "message",
    };
    let data = interaction
        .duration_s
        .map_or_else(|| "{}".to_owned(), |s| format!("{{\"duration\":\"{s}\"}}"));
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    let params = [
        ("interactionSid", interaction.sid.to_string()),
        ("interactionAccountSid", interaction.account.to_string()),
        ("interactionServiceSid", interaction.service.to_string()),
        ("interactionSessionSid", interaction.session.to_string()),
        ("interactionType", interaction.kind.to_string()),
        ("interactionStatus", interaction.state.to_string()),
        ("interactionData", data),
        (
            "interactionDateCreated",
            interaction.created.iso8601_seconds(),
        ),
        (
            "interactionDateUpdated",
            interaction.updated.iso8601_seconds(),
        ),
        ("inboundParticipantSid", interaction.from.to_string()),
        ("inboundResourceSid", interaction.inbound.clone()),
        ("inboundResourceType", resource.to_owned()),
        ("inboundResourceStatus", maybe(&interaction.inbound_status)),
        ("outboundParticipantSid", interaction.to.to_string()),
        ("outboundResourceSid", maybe(&interaction.outbound)),
        ("outboundResourceType", resource.to_owned()),
        (
            "outboundResourceStatus",
            maybe(&interaction.outbound_status),
        ),
    ];
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
