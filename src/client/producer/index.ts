/** The producer without the other clients: what a program that only sends has to load. */
export type { PackedValues } from '#protocol/records'
export type { ProducerOptions } from '../config.ts'
export { ConfigError, KafkaError } from '../errors.ts'
export { Producer, type CloseOptions, type SendOptions } from './producer.ts'
export type { DeliveredRun, Delivery, DeliveryListener, RecordMetadata, SentBatch } from './delivery.ts'
export type { Partitioner, PartitionerView } from './partitioner.ts'
export type { Content, ProducerHeaders, ProducerRecord } from './record.ts'
