// Package shuffle is the shuffle benchmark: whole Spark jobs that do little but shuffle, on two or three hosts of this machine, stock Spark
// beside weft in interleaved rounds of one run. It compares within a round, refuses to compare runs, and calls no shaped link RDMA.
package shuffle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
)

// Record is one run: a job by an implementation in a round. Seconds but CPU are wall time; bytes are as shuffled, serialised and compressed.
type Record struct {
	Job       string            `json:"job"`
	Spark     string            `json:"spark"` // version
	Impl      string            `json:"impl"`  // stock, weft-tcp, weft-rdma or local
	Link      string            `json:"link"`  // "as is", or what it was shaped to
	Conf      map[string]string `json:"conf,omitempty"`
	Executors int               `json:"executors"`
	Size
	Write        float64 `json:"write_s"` // of the stage that writes map outputs
	Read         float64 `json:"read_s"`  // of the stage that reads them
	Total        float64 `json:"total_s"` // of the job as the driver sees it
	FetchWait    float64 `json:"fetch_wait_s"`
	RemoteBytes  int64   `json:"remote_bytes"` // as Spark counts them
	RemoteBlocks int64   `json:"remote_blocks"`
	BytesWeft    int64   `json:"bytes_weft"`  // as the daemons count them, broadcasts and task results, too
	BytesNetty   int64   `json:"bytes_netty"` // with weft: of the whole application, the warm-up, too
	CPU          float64 `json:"cpu_s"`       // of all processes of the hosts
	CPUWeft      float64 `json:"cpu_weft_s"`  // of these, the daemons'
	Round        int     `json:"round"`
	Checksum     string  `json:"checksum"`
	Failure      string  `json:"failure,omitempty"` // why there is no figure
}

// same says whether both are the same run of the same table.
func (r Record) same(o Record) bool {
	return r.Job == o.Job && r.Spark == o.Spark && r.Impl == o.Impl && r.Link == o.Link && r.Executors == o.Executors && r.Size == o.Size &&
		r.Round == o.Round && maps.Equal(r.Conf, o.Conf)
}

// readRecords reads what an earlier run left; where there is nothing, it is none.
func readRecords(path string) ([]Record, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rs []Record
	if err := json.Unmarshal(b, &rs); err != nil {
		return nil, fmt.Errorf("%s is not of this benchmark: %w", path, err)
	}
	return rs, nil
}
