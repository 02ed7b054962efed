// Package data is the data sets that BigDL trains with: it verifies real ones in their published binary formats, and makes synthetic ones in
// the same formats, in a local folder or in HDFS. It downloads nothing, and decides nothing about training.
package data

import (
	"context"
	"strings"
)

// Format is a published data format.
type Format string

// The formats.
const (
	CIFAR10  Format = "cifar10"  // the binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin
	MNIST    Format = "mnist"    // four idx files
	ImageNet Format = "imagenet" // train/ and val/ with a folder of images for each class, or with sequence files
)

var formats = []Format{CIFAR10, MNIST, ImageNet}

func formatNames() string {
	var s []string
	for _, f := range formats {
		s = append(s, string(f))
	}
	return strings.Join(s, ", ")
}

// Progress is told how far long work is; total is 0 where that is not known.
type Progress func(what string, done, total int)

type progressKey struct{}

// WithProgress is a context whose work is told to p, from one goroutine at a time.
func WithProgress(ctx context.Context, p Progress) context.Context {
	return context.WithValue(ctx, progressKey{}, p)
}

// step fails when ctx has ended, and tells how far the work is.
func step(ctx context.Context, what string, done, total int) error {
	if p, ok := ctx.Value(progressKey{}).(Progress); ok {
		p(what, done, total)
	}
	return ctx.Err()
}
