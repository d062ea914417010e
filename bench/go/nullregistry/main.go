// A registry that takes everything and keeps nothing but names: it reads each body, as any registry
// must, and lets it go. What is measured against it is the client.
//
//	nullregistry -cert FILE -key FILE
//
// It speaks HTTP/1.1 and HTTP/2 over TLS on one port, plain HTTP/1.1 on another. It takes a digest
// at its word, so only what was sent is found, mounted, or there when it is sent again.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bench/control"
)

const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

type manifest struct {
	mediaType, digest string
	content           []byte
}

type registry struct {
	counters
	session atomic.Int64
	offsets sync.Map // path of a session: bytes taken so far

	lock      sync.RWMutex
	blobs     map[string]bool     // repository@digest
	manifests map[string]manifest // repository:tag and repository:digest
}

func (r *registry) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	r.request(request)
	r.serve(answer, request)
	r.answered()
}

func (r *registry) serve(answer http.ResponseWriter, request *http.Request) {
	path := strings.TrimPrefix(request.URL.Path, "/v2/")
	if repository, id, found := strings.Cut(path, "/blobs/uploads/"); found {
		r.upload(answer, request, repository, id)
	} else if repository, digest, found := strings.Cut(path, "/blobs/"); found {
		r.blob(answer, repository, digest)
	} else if repository, reference, found := strings.Cut(path, "/manifests/"); found {
		r.manifest(answer, request, repository, reference)
	} else if path == "" {
		answer.WriteHeader(http.StatusOK)
	} else {
		answer.WriteHeader(http.StatusNotFound)
	}
}

func (r *registry) upload(answer http.ResponseWriter, request *http.Request, repository, id string) {
	query := request.URL.Query()
	switch request.Method {
	case http.MethodPost:
		r.take(request.Body)
		if digest := query.Get("mount"); digest != "" && r.has(query.Get("from"), digest) {
			r.created(answer, repository, digest)
			return
		}
		id = strconv.FormatInt(r.session.Add(1), 10)
		answer.Header().Set("Location", "/v2/"+repository+"/blobs/uploads/"+id)
		answer.WriteHeader(http.StatusAccepted)
	case http.MethodPatch:
		taken := r.take(request.Body)
		if before, found := r.offsets.Load(request.URL.Path); found {
			taken += before.(int64)
		}
		r.offsets.Store(request.URL.Path, taken)
		answer.Header().Set("Location", request.URL.Path)
		answer.Header().Set("Range", fmt.Sprintf("0-%d", max(taken-1, 0)))
		answer.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		r.take(request.Body)
		r.offsets.Delete(request.URL.Path)
		r.created(answer, repository, query.Get("digest"))
	default:
		answer.WriteHeader(http.StatusNoContent)
	}
}

// created answers 201 for a blob, which is known from now on.
func (r *registry) created(answer http.ResponseWriter, repository, digest string) {
	r.lock.Lock()
	r.blobs[repository+"@"+digest] = true
	r.lock.Unlock()
	answer.Header().Set("Location", "/v2/"+repository+"/blobs/"+digest)
	answer.Header().Set("Docker-Content-Digest", digest)
	answer.WriteHeader(http.StatusCreated)
}

func (r *registry) blob(answer http.ResponseWriter, repository, digest string) {
	if !r.has(repository, digest) {
		answer.WriteHeader(http.StatusNotFound)
		return
	}
	answer.Header().Set("Docker-Content-Digest", digest)
}

func (r *registry) has(repository, digest string) bool {
	r.lock.RLock()
	defer r.lock.RUnlock()
	return r.blobs[repository+"@"+digest]
}

func (r *registry) manifest(
	answer http.ResponseWriter, request *http.Request, repository, reference string,
) {
	if request.Method == http.MethodPut {
		content, _ := io.ReadAll(request.Body)
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
		r.lock.Lock()
		for _, name := range []string{reference, digest} {
			r.manifests[repository+":"+name] = manifest{
				request.Header.Get("Content-Type"), digest, content,
			}
		}
		r.lock.Unlock()
		answer.Header().Set("Location", "/v2/"+repository+"/manifests/"+digest)
		answer.Header().Set("Docker-Content-Digest", digest)
		answer.WriteHeader(http.StatusCreated)
		return
	}
	r.lock.RLock()
	found, known := r.manifests[repository+":"+reference]
	r.lock.RUnlock()
	if !known {
		answer.WriteHeader(http.StatusNotFound)
		return
	}
	answer.Header().Set("Content-Type", found.mediaType)
	answer.Header().Set("Docker-Content-Digest", found.digest)
	answer.Header().Set("Content-Length", strconv.Itoa(len(found.content)))
	if request.Method == http.MethodGet {
		answer.Write(found.content)
	}
}

// take reads a body to its end; large reads go past the buffers of net/http.
func (r *registry) take(body io.Reader) int64 {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	var total int64
	for {
		count, err := body.Read(buffer[:])
		total += int64(count)
		if err != nil {
			r.taken(total)
			return total
		}
	}
}

// counters are what the bench asks for.
type counters struct {
	sync.Mutex
	requests, http2, connections, bytes int64
	methods                             map[string]int64
	first, last                         time.Time
}

func (c *counters) request(request *http.Request) {
	c.Lock()
	defer c.Unlock()
	c.requests++
	c.methods[request.Method]++
	if request.ProtoMajor == 2 {
		c.http2++
	}
}

func (c *counters) taken(count int64) {
	c.Lock()
	defer c.Unlock()
	c.bytes += count
}

func (c *counters) answered() {
	c.Lock()
	defer c.Unlock()
	c.last = time.Now()
}

func (c *counters) connected(_ net.Conn, state http.ConnState) {
	if state != http.StateNew {
		return
	}
	c.Lock()
	defer c.Unlock()
	if c.connections == 0 {
		c.first = time.Now()
	}
	c.connections++
}

// Counts has `seconds` from the first connection to the last answer.
func (c *counters) Counts() map[string]any {
	c.Lock()
	defer c.Unlock()
	methods := map[string]int64{}
	for method, count := range c.methods {
		methods[method] = count
	}
	return map[string]any{
		"requests": c.requests, "http2": c.http2, "connections": c.connections,
		"bytes": c.bytes, "methods": methods, "seconds": c.last.Sub(c.first).Seconds(),
	}
}

func (c *counters) Reset() {
	c.Lock()
	defer c.Unlock()
	c.requests, c.http2, c.connections, c.bytes = 0, 0, 0, 0
	c.methods = map[string]int64{}
	c.first, c.last = time.Time{}, time.Time{}
}

func main() {
	cert := flag.String("cert", "", "certificate, PEM")
	key := flag.String("key", "", "its key, PEM")
	flag.Parse()
	null := &registry{blobs: map[string]bool{}, manifests: map[string]manifest{}}
	null.Reset()
	server := &http.Server{
		Handler: null, ConnState: null.connected, ErrorLog: log.New(io.Discard, "", 0),
	}
	tls, plain := control.Listen(), control.Listen()
	go func() { control.Fail(server.ServeTLS(tls, *cert, *key)) }()
	go func() { control.Fail(server.Serve(plain)) }()
	control.Serve(map[string]net.Listener{"tls": tls, "plain": plain}, null)
}
