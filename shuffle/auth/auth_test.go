package auth_test

import (
	"encoding/hex"
	"testing"

	"weft/shuffle/auth"
)

// connection is what a proof is for.
type connection struct {
	dialler, listener string
	secret            [auth.SecretLen]byte
	side              auth.Side
	request           uint64
	app               string
}

func (c connection) proof() []byte {
	return auth.Prove(c.secret, c.side, auth.Bind([]byte(c.dialler), []byte(c.listener)), c.request, c.app)
}

func example() connection {
	c := connection{dialler: "one hello", listener: "another", side: auth.Dialler, request: 7, app: "app-20261123-0001"}
	for i := range c.secret {
		c.secret[i] = byte(i)
	}
	return c
}

// The bytes are fixed: daemons of other releases make the same. They were computed by another program.
func TestVectors(t *testing.T) {
	c := example()
	for side, want := range map[auth.Side]string{
		auth.Dialler:  "37608b58f5942bb0eed98ff3b995cdec50af0d4aa5392674c67ec8e831b985b5",
		auth.Listener: "94aa8e0d2ff41a41cf5ea43ab2fead3f1abacc585ac4fd476f895ca321ad12ff",
	} {
		c.side = side
		if got := hex.EncodeToString(c.proof()); got != want {
			t.Errorf("%s: %s, want %s", side, got, want)
		}
	}
}

// The same over TLS.
func TestVectorsOverTLS(t *testing.T) {
	c := example()
	material := make([]byte, auth.ExportedLen)
	for i := range material {
		material[i] = byte(100 + i)
	}
	binding := auth.BindTLS(material, []byte(c.dialler), []byte(c.listener))
	for side, want := range map[auth.Side]string{
		auth.Dialler:  "1f8b71ecdd4178557fa7a456812a0f1bb48a6a5eddf2e2b1c343906dcc1a75b6",
		auth.Listener: "c7afbcc864032e4e6968f92afd89fea78ba4680d24dbdec5992fd934319ec830",
	} {
		if got := hex.EncodeToString(auth.Prove(c.secret, side, binding, c.request, c.app)); got != want {
			t.Errorf("%s: %s, want %s", side, got, want)
		}
	}
	if auth.BindTLS(nil, []byte(c.dialler), []byte(c.listener)) == auth.Bind([]byte(c.dialler), []byte(c.listener)) {
		t.Error("a connection without TLS has the binding of one that exports nothing")
	}
}

// A proof is good for what it was made for alone: everything that goes into it counts.
func TestEverythingCounts(t *testing.T) {
	good := example()
	binding := auth.Bind([]byte(good.dialler), []byte(good.listener))
	if !auth.Check(good.proof(), good.secret, good.side, binding, good.request, good.app) {
		t.Fatal("a right proof is refused")
	}
	for name, change := range map[string]func(*connection){
		"another secret":          func(c *connection) { c.secret[31] ^= 1 },
		"sent back":               func(c *connection) { c.side = auth.Listener },
		"another dialler's hello": func(c *connection) { c.dialler = "One hello" },
		"a changed answer":        func(c *connection) { c.listener += "!" },
		"hellos cut elsewhere":    func(c *connection) { c.dialler, c.listener = "one helloa", "nother" },
		"hellos exchanged":        func(c *connection) { c.dialler, c.listener = c.listener, c.dialler },
		"another request":         func(c *connection) { c.request++ },
		"another application":     func(c *connection) { c.app = "app-20261123-0002" },
	} {
		c := good
		change(&c)
		if auth.Check(c.proof(), good.secret, good.side, binding, good.request, good.app) {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, proof := range [][]byte{nil, {}, good.proof()[:31], append(good.proof(), 0)} {
		if auth.Check(proof, good.secret, good.side, binding, good.request, good.app) {
			t.Errorf("a proof of %d bytes: accepted", len(proof))
		}
	}
}
