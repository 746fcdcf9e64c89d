use std::sync::Arc;

use super::gate::Gate;
use crate::admin::AdminService;
use crate::ingest::Ingest;

/// State of the API.
pub struct Api {
    pub admin: Arc<AdminService>,
    pub gate: Arc<Gate>,
    pub ingest: Arc<Ingest>,
}
