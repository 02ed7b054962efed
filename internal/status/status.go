// Package status is what the daemon tells about itself on its admin socket: the JSON of GET /status, the client that asks for
// it, and the table that `weft status` prints.
//
// The JSON is stable: fields are added, never renamed or given another meaning, while Schema stays 1. The package refuses to
// change anything in the daemon and to show what only the application may know (tokens).
package status

import "time"

// Schema is the version of the JSON.
const Schema = 1

// AdminSocket is the name of the admin socket in the socket directory.
const AdminSocket = "admin.sock"

// Status is the answer to GET /status. Sizes are bytes, times are seconds unless they are points in time.
type Status struct {
	Schema    int       `json:"schema"`
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	DaemonID  string    `json:"daemon_id"` // 32 hexadecimal digits, new at every start
	Started   time.Time `json:"started"`
	SocketDir string    `json:"socket_dir"`
	PeerPort  uint16    `json:"peer_port"`
	Announced []string  `json:"announced"` // addresses told to peers; none: Spark's host name
	CPU       float64   `json:"cpu_seconds"`
	RDMA      *RDMA     `json:"rdma,omitempty"`

	Memory     Memory     `json:"memory"`
	Apps       []App      `json:"apps"`
	Sessions   []Session  `json:"sessions"`
	Departed   []Departed `json:"departed"`
	MapOutputs int        `json:"map_outputs"`
	OpenFiles  int        `json:"open_files"`
	Peers      []Peer     `json:"peers"`
	Transfers  []Transfer `json:"transfers"`
	Failed     []Count    `json:"failed"`    // blocks that the daemon could not deliver
	Fallbacks  []Count    `json:"fallbacks"` // what executors then fetched by Spark's own client
	Refused    []Refusal  `json:"refused"`
}

// App is what an application has of what the daemon divides among applications (weft.app.share), by resource; what it has nothing of is left out.
type App struct {
	App  string           `json:"app"`
	Uses map[string]int64 `json:"uses"`
}

// Refusal counts how often an application was refused more than its share of a resource; those that nobody was refused are left out.
type Refusal struct {
	Resource string `json:"resource"`
	Times    int64  `json:"times"`
}

// RDMA is the device that blocks move by.
type RDMA struct {
	Device          string `json:"device"`
	Address         string `json:"address"`          // where peers connect to
	Broken          string `json:"broken,omitempty"` // why it is not used now
	RegisteredBytes int64  `json:"registered_bytes"` // of map outputs, beside the arenas
	HiddenBlocks    int64  `json:"hidden_blocks"`    // that peers read over TCP because they could not be registered
}

// Memory is what the arenas of all sessions hold together.
type Memory struct {
	MaxBytes     int64 `json:"max_bytes"`
	ReceiveBytes int64 `json:"receive_bytes"`
	UpcallBytes  int64 `json:"upcall_bytes"`
}

// Session is one executor.
type Session struct {
	ID         uint64 `json:"id"`
	App        string `json:"app"`
	Executor   string `json:"executor"`
	UID        uint32 `json:"uid"`
	PID        int32  `json:"pid"`
	Version    string `json:"version"`
	AgeSeconds int64  `json:"age_seconds"`
	MapOutputs int    `json:"map_outputs"`
	Fetches    int    `json:"fetches"` // requests not yet ended
	Receive    Arena  `json:"receive"`
	Upcall     Arena  `json:"upcall"`
}

// Departed is an executor that has ended, and whose map outputs are served on.
type Departed struct {
	App            string `json:"app"`
	Executor       string `json:"executor"`
	MapOutputs     int    `json:"map_outputs"`
	MapOutputBytes int64  `json:"map_output_bytes"`
}

// Arena is one arena of a session.
type Arena struct {
	MaxBytes       int64 `json:"max_bytes"`
	AllocatedBytes int64 `json:"allocated_bytes"`
	LeasedBytes    int64 `json:"leased_bytes"`
	Leases         int   `json:"leases"`
}

// Peer is a peer that this daemon is connected to.
type Peer struct {
	DaemonID  string `json:"daemon_id"`
	Address   string `json:"address"`
	Transport string `json:"transport"`
}

// Transfer counts blocks that moved whole.
type Transfer struct {
	Transport string `json:"transport"`
	Direction string `json:"direction"` // received or served
	Blocks    int64  `json:"blocks"`
	Bytes     int64  `json:"bytes"`
}

// Count counts blocks by the reason why they were not delivered; reasons that never occurred are left out.
type Count struct {
	Reason string `json:"reason"`
	Blocks int64  `json:"blocks"`
	Bytes  int64  `json:"bytes,omitempty"`
}
