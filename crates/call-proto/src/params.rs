//! Parameters of requests to applications.

/// Headers in order, as written on the wire.
pub type Headers = Vec<(String, String)>;

pub(crate) type Params = Vec<(String, String)>;

/// Headers that are passed to applications: `X-…` (in this exact spelling) and Diversion.
pub(crate) fn sip_headers(headers: &Headers) -> impl Iterator<Item = &(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| name.starts_with("X-") || name == "Diversion")
}
