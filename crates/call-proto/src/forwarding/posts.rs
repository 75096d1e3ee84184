//! What an HTTP provider posts, as handed from the API to the engine.

/// A request of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderPost {
    /// The address that the provider signed.
    pub url: String,
    /// Its identifier of the request.
    pub event: String,
    /// Header field with the signature.
    pub signature: String,
    /// The body.
    pub body: String,
}

/// Why a request of a provider was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProviderRefusal {
    /// There is no such route, or it is not that of an HTTP provider.
    #[error("there is no such route")]
    NoRoute,
    /// The signature is missing, wrong or too old.
    #[error("{0}")]
    NotSigned(&'static str),
    /// The body says neither a text nor a receipt.
    #[error("{0}")]
    NotUnderstood(String),
    /// No application is there for the text.
    #[error("{0}")]
    NoApplication(String),
    /// The receipt is about a message that this route did not take.
    #[error("no message of this route has the identifier of the receipt")]
    NoMessage,
    /// Not now: it may be sent again.
    #[error("the server cannot accept it now")]
    Busy,
}
