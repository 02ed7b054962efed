// Package data is the data sets that BigDL trains with: it verifies real ones in their published binary formats, and makes synthetic ones in
// the same formats, in a local folder or in HDFS. It downloads nothing, and decides nothing about training.
package data

import "strings"

// Format is a published data format.
type Format string

// The formats.
const (
	CIFAR10 Format = "cifar10" // the binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin
	MNIST   Format = "mnist"   // four idx files
)

var formats = []Format{CIFAR10, MNIST}

func formatNames() string {
	var s []string
	for _, f := range formats {
		s = append(s, string(f))
	}
	return strings.Join(s, ", ")
}
