//! MQTT 3.1.1 for devices: register, and ask after an operation.
mod packet;
mod query;
mod session;
mod topic;
mod user_name;
