package shuffle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// measured is the job group of what ShuffleBench measures.
const measured = "measured"

// event holds the fields of all events of Spark's log that matter here. Times are milliseconds.
type event struct {
	Event      string
	Properties map[string]string
	StageID    int                     `json:"Stage ID"`
	StageIDs   []int                   `json:"Stage IDs"`
	Reason     struct{ Reason string } `json:"Task End Reason"`
	Stage      struct {
		ID        int   `json:"Stage ID"`
		Submitted int64 `json:"Submission Time"`
		Completed int64 `json:"Completion Time"`
	} `json:"Stage Info"`
	Metrics struct {
		Write struct {
			Bytes int64 `json:"Shuffle Bytes Written"`
		} `json:"Shuffle Write Metrics"`
		Read struct {
			RemoteBlocks int64 `json:"Remote Blocks Fetched"`
			RemoteBytes  int64 `json:"Remote Bytes Read"`
			LocalBlocks  int64 `json:"Local Blocks Fetched"`
			FetchWait    int64 `json:"Fetch Wait Time"`
		} `json:"Shuffle Read Metrics"`
	} `json:"Task Metrics"`
}

// stage is what one stage's tasks did.
type stage struct {
	millis        int64
	writes, reads bool
}

// readEvents takes the figures of the measured job out of an application's event log. A task that failed is an error: the figures would be
// those of something else.
func (r *Record) readEvents(log io.Reader) error {
	stages := map[int]*stage{}
	var wait int64
	for in := json.NewDecoder(log); ; {
		var e event
		if err := in.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("event log: %w", err)
		}
		switch e.Event {
		case "SparkListenerJobStart":
			for _, id := range e.StageIDs {
				if e.Properties["spark.jobGroup.id"] == measured {
					stages[id] = &stage{}
				}
			}
		case "SparkListenerStageCompleted":
			if s := stages[e.Stage.ID]; s != nil {
				s.millis += e.Stage.Completed - e.Stage.Submitted
			}
		case "SparkListenerTaskEnd":
			s := stages[e.StageID]
			if s == nil {
				continue
			}
			if e.Reason.Reason != "Success" {
				return fmt.Errorf("a task of the measured job ended with %s", e.Reason.Reason)
			}
			read := e.Metrics.Read
			s.writes = s.writes || e.Metrics.Write.Bytes > 0
			s.reads = s.reads || read.RemoteBlocks+read.LocalBlocks > 0
			r.RemoteBlocks += read.RemoteBlocks
			r.RemoteBytes += read.RemoteBytes
			wait += read.FetchWait
		}
	}
	var write, read int64
	for _, s := range stages {
		if s.writes {
			write += s.millis
		}
		if s.reads {
			read += s.millis
		}
	}
	if write == 0 || read == 0 {
		return errors.New("event log: the measured job has no stage that writes map outputs, or none that reads them")
	}
	r.Write, r.Read, r.FetchWait = float64(write)/1e3, float64(read)/1e3, float64(wait)/1e3
	return nil
}
