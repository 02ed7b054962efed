package train

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"weft/bigdl"
	"weft/bigdl/data"
	"weft/bigdl/data/seqfile"
	"weft/bigdl/data/store"
)

// Data says what is trained on.
type Data struct {
	Folder string    // of real data, or hdfs://; "": synthetic
	Size   data.Size // of synthetic data
	Seed   uint64
}

// words describe what the model is trained on.
func (d Data) words(model string) string {
	m, _ := bigdl.Find(model)
	if d.Folder != "" {
		return fmt.Sprintf("%s in %s", m.Data, d.Folder)
	}
	return fmt.Sprintf("synthetic %s, %d+%d records, seed %d", m.Data, d.Size.Train, d.Size.Test, d.Seed)
}

// ready gives the folder of the model's data; synthetic data are made in dir when they are not there.
// Executors of a cluster read what lies in HDFS there.
func (d Data) ready(ctx context.Context, model, dir string, cluster bool) (string, error) {
	m, err := bigdl.Find(model)
	if err != nil {
		return "", err
	}
	if d.Folder != "" {
		return d.given(ctx, dir, cluster)
	}
	folder := filepath.Join(dir, fmt.Sprintf("%s-%d-%d-%d", m.Data, d.Size.Train, d.Size.Test, d.Seed))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	made, images := folder+".tmp", folder+".images"
	if err := errors.Join(os.RemoveAll(made), os.RemoveAll(images)); err != nil {
		return "", err
	}
	if m.Data == data.ImageNet { // which BigDL reads from sequence files
		if err := data.Synthesize(ctx, images, m.Data, d.Size, d.Seed); err != nil {
			return "", err
		}
		err = data.WriteSeqFiles(ctx, data.SeqFiles{From: images, To: made, Codec: seqfile.None, PerFile: 128, Seed: d.Seed})
		err = errors.Join(err, os.RemoveAll(images))
	} else {
		err = data.Synthesize(ctx, made, m.Data, d.Size, d.Seed)
	}
	if err != nil {
		return "", err
	}
	return folder, os.Rename(made, folder)
}

// given is the user's folder, after it was verified; for hosts of this machine, which reach no others, what lies in HDFS is copied to dir, unless
// the same was copied before.
func (d Data) given(ctx context.Context, dir string, cluster bool) (string, error) {
	report, err := data.Verify(ctx, d.Folder)
	if err != nil {
		return "", err
	}
	if cluster || !strings.Contains(d.Folder, "://") {
		return d.Folder, nil
	}
	hash := sha256.Sum256(fmt.Append(nil, report))
	folder := filepath.Join(dir, fmt.Sprintf("hdfs-%x", hash[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	from, err := store.Open(ctx, d.Folder)
	if err != nil {
		return "", err
	}
	err = errors.Join(os.RemoveAll(folder+".tmp"), os.MkdirAll(dir, 0o755))
	if err == nil {
		err = os.CopyFS(folder+".tmp", from)
	}
	if err := errors.Join(err, from.Close()); err != nil {
		return "", err
	}
	if copied, err := data.Verify(ctx, folder+".tmp"); err != nil {
		return "", err
	} else if !reflect.DeepEqual(copied.Parts, report.Parts) {
		return "", fmt.Errorf("%s changed while it was copied; run again", d.Folder)
	}
	return folder, os.Rename(folder+".tmp", folder)
}
