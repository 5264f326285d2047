//! AMQP 1.0 for devices: register, and ask after an operation.
mod codec;
mod engine;
