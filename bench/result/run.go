// Package result holds what training runs gave: a Run for each arm and repeat, kept in a folder as one JSON file each, so that an
// interrupted table goes on where it was. It measures nothing and draws nothing.
package result

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// Config is a row of the table of runs: all that decides what a run does. Runs that differ in Impl alone are arms of one comparison.
type Config struct {
	Model      string `json:"model"`      // lenet, vgg, ...
	Data       string `json:"data"`       // what it was trained on, in words: "synthetic mnist, seed 1, 1024+512"
	Spark      string `json:"spark"`      // version
	Impl       string `json:"impl"`       // stock, weft-tcp or weft-rdma
	Link       string `json:"link"`       // "as is", or the name, rate and delay it was shaped to
	Executors  int    `json:"executors"`  // one to a host
	Cores      int    `json:"cores"`      // of each executor
	Batch      int    `json:"batch"`      // records of an iteration, of all executors
	Epochs     int    `json:"epochs"`     // the run ends after them,
	Iterations int    `json:"iterations"` // or, where this is not 0, after so many iterations
	Seed       int64  `json:"seed"`       // of the first weights
	Repeat     int    `json:"repeat"`     // from 1
}

// ID names the run: equal for equal rows, and a file name. It ends in a hash, as its words are cut and written alike.
func (c Config) ID() string {
	words := fmt.Sprintf("%s-%s-x%dx%d-b%d-%s-r%d-%s", c.Model, c.Spark, c.Executors, c.Cores, c.Batch, c.Impl, c.Repeat, c.Link)
	words = strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, words)
	hash := sha256.Sum256(fmt.Appendf(nil, "%+v", c))
	return fmt.Sprintf("%.80s-%x", strings.TrimLeft(words, "."), hash[:6])
}

// Arm is the row without what differs between the arms and repeats of one comparison.
func (c Config) Arm() Config {
	c.Impl, c.Repeat = "", 0
	return c
}

// Run is one run of a row. Times of iterations, epochs and samples are in seconds since Started.
type Run struct {
	Config
	Failure  string            `json:"failure,omitempty"` // why it gave no result; the rest is then what was seen until there
	Started  time.Time         `json:"started"`           // when spark-submit was
	Seconds  float64           `json:"seconds"`           // end to end
	Versions map[string]string `json:"versions"`          // weft, spark, bigdl, java
	Machine  Machine           `json:"machine"`
	Sampled  string            `json:"sampled"`     // the one host whose resources were sampled; "": all of them were
	Device   string            `json:"rdma_device"` // of the executors' daemons, as DeviceName writes it; "none": they have none, "": there were no daemons
	Missing  string            `json:"missing"`     // figures that are 0 because they were not available, by the names here, with commas; "": none
	Conf     map[string]string `json:"conf"`        // Spark's keys, as given

	Iterations []Iteration `json:"iteration_list"`
	Epochs     []Epoch     `json:"epoch_list"`
	Samples    []Sample    `json:"sample_list"`

	FetchWaitSeconds float64 `json:"fetch_wait_s"`   // of all tasks, as Spark counts it for shuffles
	CPUSeconds       float64 `json:"cpu_s"`          // of all processes of the hosts
	BytesWeft        int64   `json:"bytes_weft"`     // of blocks that daemons brought, over the network
	BytesRDMA        int64   `json:"bytes_rdma"`     // of these by RDMA
	BytesNetty       int64   `json:"bytes_netty"`    // of blocks that Netty brought; in a stock run all that the hosts' interfaces received, as no metric has its parameter blocks
	DriverLookups    int64   `json:"driver_lookups"` // of parameter blocks' locations, asked of the driver
	CachedLookups    int64   `json:"cached_lookups"` // and answered in the executors
	Fallbacks        int64   `json:"fallbacks"`      // blocks that weft should have brought

	ParameterFetchSeconds float64 `json:"parameter_fetch_s"` // that fetches of parameter blocks took, of all executors; 0 in a stock run
}

// Machine is what a run was on; on a cluster, what it was submitted from.
type Machine struct {
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	Kernel      string `json:"kernel"`
}

// Iteration is one iteration as BigDL's driver logs it. The times of its phases are the averages over its tasks.
type Iteration struct {
	N                 int     `json:"n"` // from 1
	Epoch             int     `json:"epoch"`
	End               float64 `json:"end_s"`
	Seconds           float64 `json:"seconds"`
	Records           int     `json:"records"`
	Loss              float64 `json:"loss"`
	ComputeSeconds    float64 `json:"compute_s"`
	GetWeightsSeconds float64 `json:"get_weights_s"`
	AggregateSeconds  float64 `json:"aggregate_gradient_s"`
	PutSeconds        float64 `json:"put_gradient_s"`
}

// Epoch is the end of one, and what validation gave there.
type Epoch struct {
	N        int      `json:"n"` // from 1
	End      float64  `json:"end_s"`
	Accuracy *float64 `json:"accuracy,omitempty"` // Top1, 0 to 1; nil: not validated
}

// Sample is one figure at one time.
type Sample struct {
	At    float64 `json:"at_s"`
	Host  string  `json:"host"` // "" for the machine on which all hosts are, or the one that was sampled
	Name  string  `json:"name"` // one of those below
	Of    string  `json:"of"`   // interface, port (device/number), index of the GPU, or role of the processes
	Value float64 `json:"value"`
}

// Names of samples. Rates are those since the sample before.
const (
	CPU             = "cpu_cores"      // busy cores of the processes in a role: executor, driver, weft, master, worker, other
	Memory          = "memory_bytes"   // resident memory of the processes in a role: their own and shared segments, not pages of files
	NetSent         = "net_sent_bytes" // bytes per second of an interface
	NetRecv         = "net_received_bytes"
	RDMASent        = "rdma_sent_bytes" // bytes per second of a port
	RDMARecv        = "rdma_received_bytes"
	RDMASentPackets = "rdma_sent_packets" // packets per second, which is all that soft-RoCE counts
	RDMARecvPackets = "rdma_received_packets"
	GPUMemory       = "gpu_memory_bytes" // used memory of a GPU
)

// Compare orders runs as tables show them.
func Compare(a, b Run) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Spark, b.Spark), cmp.Compare(a.Link, b.Link), cmp.Compare(a.Executors, b.Executors),
		cmp.Compare(a.Cores, b.Cores), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Data, b.Data), cmp.Compare(a.Seed, b.Seed),
		cmp.Compare(a.Repeat, b.Repeat), cmp.Compare(a.Impl, b.Impl))
}
