// A TLS server as kube-apiserver's is: Go's net/http, whose log shows each handshake and
// each connection that it did not like. Arguments: certificate, key. It listens on a free
// port of loopback, says which, and ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	http.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "ok")
	})
	http.HandleFunc("/failing", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "[-]shutdown failed", http.StatusInternalServerError)
	})
	go func() { log.Fatal(http.ServeTLS(listener, nil, os.Args[1], os.Args[2])) }()
	io.Copy(io.Discard, os.Stdin)
}
