//go:build e2e || rdma

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Shuffled is what Spark's event log tells of a job's tasks. Blocks served by weft count as remote like any other.
type Shuffled struct {
	RemoteBlocks, LocalBlocks int64
	RemoteBytes, LocalBytes   int64
	BytesToFiles              int64 // of RemoteBytes; spark.network.maxRemoteBlockSizeFetchToMem
	SpeculativeTasks          int
	FailedTasks               int // those of a speculative pair that were not needed count, too
	FetchFailures             int
	StageRetries              int
	MapTasks                  int      // that ended well; more than the job has map outputs: some were computed again
	FailedFrom                []string // the executors that fetch failures name
}

// event holds the fields of all events that matter here.
type event struct {
	Event      string
	Properties map[string]string
	StageID    int    `json:"Stage ID"`
	StageIDs   []int  `json:"Stage IDs"`
	TaskType   string `json:"Task Type"`
	Reason     struct {
		Reason string
		From   struct {
			Executor string `json:"Executor ID"`
		} `json:"Block Manager Address"`
	} `json:"Task End Reason"`
	Task  struct{ Speculative bool } `json:"Task Info"`
	Stage struct {
		ID      int `json:"Stage ID"`
		Attempt int `json:"Stage Attempt ID"`
	} `json:"Stage Info"`
	Metrics struct {
		Read struct {
			RemoteBlocks int64 `json:"Remote Blocks Fetched"`
			LocalBlocks  int64 `json:"Local Blocks Fetched"`
			RemoteBytes  int64 `json:"Remote Bytes Read"`
			LocalBytes   int64 `json:"Local Bytes Read"`
			BytesToFiles int64 `json:"Remote Bytes Read To Disk"`
		} `json:"Shuffle Read Metrics"`
	} `json:"Task Metrics"`
}

// Shuffled reads the event log of an ended application; the keys are the names of its jobs.
func (r *Run) Shuffled(t testing.TB) map[string]*Shuffled {
	t.Helper()
	file, err := os.Open(filepath.Join(r.cluster.dir, "events", r.App))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	jobs := map[string]*Shuffled{}
	jobOf := map[int]*Shuffled{} // by stage
	for in := json.NewDecoder(bufio.NewReader(file)); in.More(); {
		var e event
		if err := in.Decode(&e); err != nil {
			t.Fatalf("event log of %s: %v", r.App, err)
		}
		switch e.Event {
		case "SparkListenerJobStart":
			name := e.Properties["spark.jobGroup.id"]
			if jobs[name] == nil {
				jobs[name] = &Shuffled{}
			}
			for _, stage := range e.StageIDs {
				jobOf[stage] = jobs[name]
			}
		case "SparkListenerStageSubmitted":
			if e.Stage.Attempt > 0 {
				jobOf[e.Stage.ID].StageRetries++
			}
		case "SparkListenerTaskEnd":
			job, read := jobOf[e.StageID], e.Metrics.Read
			job.RemoteBlocks += read.RemoteBlocks
			job.LocalBlocks += read.LocalBlocks
			job.RemoteBytes += read.RemoteBytes
			job.LocalBytes += read.LocalBytes
			job.BytesToFiles += read.BytesToFiles
			if e.Task.Speculative {
				job.SpeculativeTasks++
			}
			switch {
			case e.Reason.Reason != "Success":
				job.FailedTasks++
			case e.TaskType == "ShuffleMapTask":
				job.MapTasks++
			}
			if e.Reason.Reason == "FetchFailed" {
				job.FetchFailures++
				job.FailedFrom = append(job.FailedFrom, e.Reason.From.Executor)
			}
		}
	}
	return jobs
}
