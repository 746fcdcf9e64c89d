use std::sync::Arc;

use super::gate::Gate;
use crate::admin::AdminService;

/// State of the API.
pub struct Api {
    pub admin: Arc<AdminService>,
    pub gate: Arc<Gate>,
}
