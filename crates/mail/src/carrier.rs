//! Where mails go: a mail server, or a catcher.

use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{AsyncSmtpTransport, Error};
use lettre::{AsyncTransport as _, Tokio1Executor};
use model::email::Email;

use crate::catcher::Catcher;
use crate::compose::{Attachment, Composed};
use crate::plan::Attempt;

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(20);

/// How the connection to a mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// TLS from the first byte (RFC 8314), usually at port 465.
    Tls,
    /// STARTTLS, without which nothing is sent.
    StartTls,
    /// STARTTLS if the server offers it.
    Opportunistic,
    /// None.
    Plain,
}

/// A mail server.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User and password, if the server requires them.
    pub credentials: Option<(String, String)>,
    /// A certificate to trust besides those of the system, in PEM.
    pub certificate: Option<Vec<u8>>,
    /// Our name in EHLO.
    pub hello: String,
    /// Maximum number of connections.
    pub connections: usize,
}

/// A mail server cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("the mail server cannot be used as configured: {0}")]
pub struct CarrierError(String);

/// Where mails go.
#[derive(Clone)]
pub enum Carrier {
    /// A mail server.
    Smtp(Smtp),
    /// A catcher.
    Catcher(Arc<Catcher>),
    /// None is configured.
    Missing,
}

/// Connections to a mail server.
#[derive(Clone)]
pub struct Smtp(AsyncSmtpTransport<Tokio1Executor>);

impl Carrier {
    /// Connections to a mail server, none of which is made yet.
    ///
    /// # Errors
    /// [`CarrierError`] if the certificate cannot be read or TLS cannot be set up.
    pub fn smtp(settings: SmtpSettings) -> Result<Self, CarrierError> {
        let refused = |error: Error| CarrierError(error.to_string());
        let mut parameters = TlsParameters::builder(settings.host.clone());
        if let Some(pem) = &settings.certificate {
            parameters =
                parameters.add_root_certificate(Certificate::from_pem(pem).map_err(refused)?);
        }
        let tls = match settings.security {
            Security::Tls => Tls::Wrapper(parameters.build().map_err(refused)?),
            Security::StartTls => Tls::Required(parameters.build().map_err(refused)?),
            Security::Opportunistic => Tls::Opportunistic(parameters.build().map_err(refused)?),
            Security::Plain => Tls::None,
        };
        let connections = u32::try_from(settings.connections).unwrap_or(u32::MAX);
        let pool = PoolConfig::new().max_size(connections).idle_timeout(IDLE);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host)
            .port(settings.port)
            .tls(tls)
            .hello_name(ClientId::Domain(settings.hello))
            .timeout(Some(COMMAND))
            .pool_config(pool);
        if let Some((user, password)) = settings.credentials {
            builder = builder.credentials(Credentials::new(user, password));
        }
        Ok(Self::Smtp(Smtp(builder.build())))
    }

    /// Whether mails can be sent at all.
    #[must_use]
    pub const fn is_set_up(&self) -> bool {
        !matches!(self, Self::Missing)
    }

    pub(crate) async fn carry(
        &self,
        mail: &Email,
        attachments: Vec<Attachment>,
        composed: Composed,
    ) -> Attempt {
        match self {
            Self::Smtp(smtp) => smtp.carry(composed).await,
            Self::Catcher(catcher) => {
                catcher.catch(mail, attachments, composed.bytes);
                Attempt::Sent
            }
            Self::Missing => Attempt::Hopeless(
                model::error::EMAIL_NOT_SET_UP,
                "no mail server is configured".to_owned(),
            ),
        }
    }
}

impl Smtp {
    async fn carry(&self, composed: Composed) -> Attempt {
        // Makes a connection if none is open, so that what fails before the mail is known not to be about it.
        match self.0.test_connection().await {
            Ok(true) => {}
            Ok(false) => {
                return Attempt::Unreachable("the mail server ended the connection".to_owned());
            }
            Err(error) => return Attempt::Unreachable(words(&error)),
        }
        match self.0.send_raw(&composed.envelope, &composed.bytes).await {
            Ok(_) => Attempt::Sent,
            Err(error) if error.is_permanent() => Attempt::Refused(words(&error)),
            Err(error) if is_closing(&error) => Attempt::Unreachable(words(&error)),
            Err(error) if error.is_transient() => Attempt::Deferred(words(&error)),
            // Something of the mail, such as an address that the server does not support.
            Err(error) if error.is_client() => Attempt::Refused(words(&error)),
            Err(error) => Attempt::Unreachable(words(&error)),
        }
    }
}

/// 421: the server is about to close the connection (RFC 5321 §3.8).
fn is_closing(error: &Error) -> bool {
    error.status().is_some_and(|code| u16::from(code) == 421)
}

/// An error with its causes.
fn words(error: &Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}
