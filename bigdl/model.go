// Package bigdl is what a user of BigDL 2.4 on Spark needs: which models of the literature it trains and on what, and the settings with
// which it runs on Spark 3 and Java 17. It starts nothing; bigdl/data has the data sets, bench/train the runs.
package bigdl

import (
	"fmt"
	"slices"
	"strings"

	"weft/bigdl/data"
)

// Model is one that can be trained. BigDL's parameter server sends half of it, as 2 bytes a parameter, to each executor in each iteration.
type Model struct {
	Name  string // of the flag
	Title string
	Data  data.Format
}

var models = []Model{
	{"softmax", "SoftMax regression", data.MNIST},
	{"lenet", "LeNet-5", data.MNIST},
	{"cifar10-quick", "CIFAR-10 Quick", data.CIFAR10},
	{"vgg", "VGG-16 in its CIFAR-10 form", data.CIFAR10},
	{"alexnet", "AlexNet", data.ImageNet},
	{"inception-v1", "Inception-v1 (GoogLeNet)", data.ImageNet},
}

// Models are all of them.
func Models() []Model { return slices.Clone(models) }

// Find finds a model by its name.
func Find(name string) (Model, error) {
	var names []string
	for _, m := range models {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Model{}, fmt.Errorf("unknown model %q; there are %s", name, strings.Join(names, ", "))
}
