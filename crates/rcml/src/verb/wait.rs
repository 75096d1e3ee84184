//! What a call hears while it waits in a conference or queue.

use model::{HttpMethod, error};

use crate::element::Element;
use crate::finding::Findings;

/// What a waiting call hears.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Wait {
    /// Built-in music: the attribute is absent.
    #[default]
    Music,
    /// Nothing: the attribute is empty.
    Silence,
    /// A sound or a document.
    At {
        /// Its address, as written.
        url: String,
        /// HTTP method for a document.
        method: HttpMethod,
    },
}

impl Wait {
    /// Reads the attribute `waitUrl`, and its method from the attribute with the given name.
    pub(super) fn read(element: &Element<'_>, method: &str, findings: &mut Findings) -> Self {
        let method = element.method(method, error::MEDIA_METHOD, findings);
        match element.url("waitUrl", findings) {
            Some(url) => Self::At { url, method },
            None if element.is_set_empty("waitUrl") => Self::Silence,
            None => Self::Music,
        }
    }

    /// Its address as an attribute.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Music => None,
            Self::Silence => Some(String::new()),
            Self::At { url, .. } => Some(url.clone()),
        }
    }

    /// The HTTP method for its document.
    pub(crate) fn method(&self) -> HttpMethod {
        match self {
            Self::Music | Self::Silence => HttpMethod::Post,
            Self::At { method, .. } => *method,
        }
    }
}
