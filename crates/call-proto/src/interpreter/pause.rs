//! `<Pause>`: wait, without answering a call that is not answered.

use std::time::Duration;

use super::{Next, State};
use crate::call::Call;
use crate::context::Context;

impl Call {
    pub(super) fn pause(pause: &rcml::Pause, cx: &mut Context) -> Next {
        let until = cx.now + Duration::from_secs(u64::from(pause.seconds));
        Next::Wait(State::Pausing { until })
    }
}
