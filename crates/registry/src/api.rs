//! The endpoints of the distribution-spec, one file a kind of resource.

pub(crate) mod batch;
pub(crate) mod blobs;
pub(crate) mod body;
pub(crate) mod manifests;
pub(crate) mod referrers;
pub(crate) mod tags;
pub(crate) mod uploads;
