// A client of franz-go for the compatibility tests. It speaks in lines, as the other clients of test/peers do.
//
//	franz produce BOOTSTRAP TOPIC CODEC         each line of standard input becomes a record
//	franz consume BOOTSTRAP TOPIC COUNT         prints PARTITION, a tab and the value of COUNT records
//	franz group BOOTSTRAP TOPIC GROUP COUNT     the same as a member of a group, committing what it printed
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if len(os.Args) < 5 {
		fail(fmt.Errorf("usage: franz produce|consume|group BOOTSTRAP TOPIC …"))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	seeds, topic := kgo.SeedBrokers(strings.Split(os.Args[2], ",")...), os.Args[3]
	switch os.Args[1] {
	case "produce":
		produce(ctx, seeds, topic, os.Args[4])
	case "consume":
		consume(ctx, os.Args[4], seeds, kgo.ConsumeTopics(topic))
	case "group":
		consume(ctx, os.Args[5], seeds, kgo.ConsumeTopics(topic), kgo.ConsumerGroup(os.Args[4]))
	default:
		fail(fmt.Errorf("unknown command %s", os.Args[1]))
	}
}

func produce(ctx context.Context, seeds kgo.Opt, topic, codec string) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(seeds, kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(codecs[codec]), kgo.ProducerLinger(5*time.Millisecond))
	fail(err)
	defer client.Close()
	var failure atomic.Value
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		value := append([]byte(nil), lines.Bytes()...)
		client.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failure.Store(err)
			}
		})
	}
	fail(lines.Err())
	fail(client.Flush(ctx))
	if err, failed := failure.Load().(error); failed {
		fail(err)
	}
}

func consume(ctx context.Context, count string, options ...kgo.Opt) {
	left, err := strconv.Atoi(count)
	fail(err)
	options = append(options, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	client, err := kgo.NewClient(options...)
	fail(err)
	defer client.Close()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	for left > 0 {
		fetches := client.PollFetches(ctx)
		for _, failure := range fetches.Errors() {
			fail(failure.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			fmt.Fprintf(out, "%d\t%s\n", record.Partition, record.Value)
			left--
		})
		fail(out.Flush())
	}
	if group, _ := client.GroupMetadata(); group != "" {
		fail(client.CommitUncommittedOffsets(ctx))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "franz:", err)
		os.Exit(1)
	}
}
