package options

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ConfigEnv names the YAML file where --config does not; the only variable WEFT_* that is no option.
const ConfigEnv = "WEFT_CONFIG"

// Sources is where Load reads options.
type Sources struct {
	File    string            // YAML file; empty: what ConfigEnv names, if anything
	Environ []string          // as os.Environ gives it
	Flags   map[string]string // by Option.Flag; those given on the command line
}

// Load reads the options and validates them. Its error lists everything that is wrong, one line each.
func Load(src Sources) (Options, error) {
	o, err := Parse(src)
	return o, errors.Join(err, o.Validate())
}

// Parse is Load for who needs only a few of the options: it does not mind conflicts between them.
func Parse(src Sources) (Options, error) {
	o := Default()
	l := &loader{options: o.table(), given: map[string]bool{}}
	env := l.environment(src.Environ)
	file := src.File
	if file == "" {
		file = env[ConfigEnv]
	}
	if file != "" {
		l.file(file)
	}
	for _, opt := range l.options {
		if s, ok := env[opt.Env()]; ok {
			l.set(opt, s, "environment variable "+opt.Env())
		}
	}
	for _, opt := range l.options {
		if s, ok := src.Flags[opt.Flag()]; ok {
			l.set(opt, s, "flag --"+opt.Flag())
		}
	}
	o.fit(l.given)
	return o, errors.Join(l.errs...)
}

// loader collects errors while the sources are read one after the other.
type loader struct {
	options []Option
	given   map[string]bool // by key
	errs    []error
}

func (l *loader) fail(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

func (l *loader) set(opt Option, s, source string) {
	if opt.Key == "weft.socket.dir" && s == "" {
		return // the default is computed
	}
	l.given[opt.Key] = true
	if err := opt.value.Set(s); err != nil {
		l.fail("%s (%s): %v", opt.Key, source, err)
	}
}

// environment picks the variables WEFT_* and complains about those that mean nothing.
func (l *loader) environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, line := range environ {
		name, s, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "WEFT_") {
			continue
		}
		known := name == ConfigEnv || slices.ContainsFunc(l.options, func(o Option) bool { return o.Env() == name })
		if !known {
			key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "WEFT_")), "_", ".")
			l.fail("environment variable %s is no option of weft (nor is spark.weft.%s, which executors pass on as it); remove it, or see docs/configuration.md for the names", name, key)
			continue
		}
		env[name] = s
	}
	return env
}

func (l *loader) file(path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		l.fail("configuration file: %v", err)
		return
	}
	l.yaml(path, content)
}

// yaml applies a document. Keys may be written with dots (weft.memory.max: 1g) or nested; a list stands for its elements
// separated by commas.
func (l *loader) yaml(path string, content []byte) {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil {
		l.fail("%s: %v", path, err)
		return
	}
	if len(doc.Content) == 0 {
		return // nothing but comments
	}
	seen := map[string]int{}
	l.walk(path, "", doc.Content[0], seen)
}

func (l *loader) walk(path, key string, n *yaml.Node, seen map[string]int) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			child := n.Content[i].Value
			if key != "" {
				child = key + "." + child
			}
			l.walk(path, child, n.Content[i+1], seen)
		}
		return
	}
	at := fmt.Sprintf("%s:%d", path, n.Line)
	if key == "" {
		l.fail("%s: expected keys such as weft.memory.max: 1g", at)
		return
	}
	i := slices.IndexFunc(l.options, func(o Option) bool { return o.Key == key })
	if i < 0 {
		l.fail("%s: %s is no option of weft; see docs/configuration.md for the names", at, key)
		return
	}
	if line, ok := seen[key]; ok {
		l.fail("%s: %s was set in line %d already", at, key, line)
		return
	}
	seen[key] = n.Line
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		l.set(l.options[i], "", at)
	case n.Kind == yaml.ScalarNode:
		l.set(l.options[i], n.Value, at)
	case n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, func(e *yaml.Node) bool { return e.Kind != yaml.ScalarNode }):
		parts := make([]string, len(n.Content))
		for j, e := range n.Content {
			parts[j] = e.Value
		}
		l.set(l.options[i], strings.Join(parts, ","), at)
	default:
		l.fail("%s: %s needs one value", at, key)
	}
}
