//! AMQP 1.0 for devices: register, and ask after an operation.
mod address;
mod codec;
mod conversation;
mod engine;
mod sasl;
