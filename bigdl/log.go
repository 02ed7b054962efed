package bigdl

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Iteration is one as the driver logged it. Times of phases are the averages over its tasks, in seconds.
type Iteration struct {
	N, Epoch          int // from 1
	Seen, EpochSize   int // records of the epoch so far, and all of them
	Records           int
	End               time.Time
	Seconds           float64
	Loss              float64 // may be NaN
	Compute           float64
	GetWeights        float64
	AggregateGradient float64
	PutGradient       float64
}

// Epoch is the end of one.
type Epoch struct {
	N        int
	End      time.Time
	Accuracy *float64 // Top1 of its validation, 0 to 1; nil: none
}

var (
	trained  = regexp.MustCompile(`^\[Epoch (\d+) (\d+)/(\d+)\]\[Iteration (\d+)\]\[Wall Clock \S+\] Trained (\S+) records in (\S+) seconds\. .* Loss is (\S+)\.( |$)`)
	finished = regexp.MustCompile(`^\[Epoch (\d+) .*\] Epoch finished\. `)
	top1     = regexp.MustCompile(`^\[Epoch (\d+) .*\] Top1Accuracy is Accuracy\(.*accuracy: ([^)]+)\)`)
)

// phases are the lines of a metrics summary that say something; "send weights" and "compute weight" are timed around nothing.
var phases = map[string]func(*Iteration) *float64{
	"get weights average":                         func(i *Iteration) *float64 { return &i.GetWeights },
	"computing time average":                      func(i *Iteration) *float64 { return &i.Compute },
	"put gradient":                                func(i *Iteration) *float64 { return &i.PutGradient },
	"aggregrateGradientParition average executor": func(i *Iteration) *float64 { return &i.AggregateGradient }, // its own spelling
}

// ParseLog reads what the driver logged. A log that is still written ends anywhere: a last line without its end is not read.
func ParseLog(r io.Reader) (iterations []Iteration, epochs []Epoch, err error) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF {
			return iterations, epochs, nil
		}
		if err != nil {
			return nil, nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		if err := parseLine(line, &iterations, &epochs); err != nil {
			return nil, nil, fmt.Errorf("BigDL's log: line %q: %w", line, err)
		}
	}
}

func parseLine(line string, iterations *[]Iteration, epochs *[]Epoch) error {
	if name, value, ok := strings.Cut(line, " : "); ok && phases[name] != nil && len(*iterations) > 0 {
		seconds, err := strconv.ParseFloat(strings.TrimSuffix(value, " s"), 64)
		*phases[name](&(*iterations)[len(*iterations)-1]) = seconds
		return err
	}
	stamp, text, _ := strings.Cut(line, " ")
	millis, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return nil // of a message of several lines
	}
	at := time.UnixMilli(millis)
	if m := trained.FindStringSubmatch(text); m != nil {
		i, err := parseIteration(m[1:8])
		i.End = at
		*iterations = append(*iterations, i)
		return err
	}
	if m := finished.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		*epochs = append(*epochs, Epoch{N: n, End: at})
		return err
	}
	if m := top1.FindStringSubmatch(text); m != nil && len(*epochs) > 0 {
		accuracy, err := strconv.ParseFloat(m[2], 64)
		(*epochs)[len(*epochs)-1].Accuracy = &accuracy
		return err
	}
	return nil
}

func parseIteration(fields []string) (i Iteration, err error) {
	var numbers [7]float64
	for k, f := range fields {
		if numbers[k], err = strconv.ParseFloat(f, 64); err != nil {
			return i, err
		}
	}
	return Iteration{
		Epoch: int(numbers[0]), Seen: int(numbers[1]), EpochSize: int(numbers[2]), N: int(numbers[3]),
		Records: int(numbers[4]), Seconds: numbers[5], Loss: numbers[6],
	}, nil
}
