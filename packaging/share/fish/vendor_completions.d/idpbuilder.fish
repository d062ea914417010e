# fish completion for idpbuilder. Written by packaging/generate.py: change the flags, or that folder.

function __fish_idpbuilder_at
    set -l at idpbuilder
    for word in (commandline -opc)[2..]
        if contains -- "$at $word" 'idpbuilder push' 'idpbuilder cache' 'idpbuilder cache path' 'idpbuilder cache clear'
            set at "$at $word"
        end
    end
    test "$at" = "$argv"
end

complete -c idpbuilder -f
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder' -a push -d 'Push OCI container images to any OCI registry'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder' -a cache -d 'Show or empty the cache of earlier pushes'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder' -l help -s h -d 'Show this text'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder' -l version -d 'Show the version'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l registry -s r -x -d 'Push below PREFIX, [http://|https://]host[:port][/namespace...]'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l from-file -r -F -d 'Push the images of a list too, a line each: IMAGE [DESTINATION...] [platform=OS/ARCH], or a JSON object'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l shard -x -d 'Push part I, from 1, of N parts of the images, balanced by size and by what they share: for N machines with the same list'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l dask -x -d 'Have the workers of the Dask cluster whose scheduler is at ADDRESS push the images, each a part of them'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l to -x -d 'Push exactly there'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l username -x -d 'User name for the registry'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l password -x -d 'Password or token'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l password-stdin -d 'Read the password from standard input'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l authfile -r -F -d 'Read credentials from this file alone, in place of docker'\''s and podman'\''s own'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l insecure -d 'Do not verify TLS certificates'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l cert-dir -x -a '(__fish_complete_directories)' -d 'Folder with *.crt (authorities to trust), *.cert and *.key (client certificate)'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l platform -x -d 'Push this platform of a multi-platform image alone, as linux/amd64'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l all-tags -s a -d 'Push every tag that the image'\''s repository has in its engine or archive'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l compression -x -a 'gzip zstd none' -d 'How layers are packed'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l compression-level -x -d 'gzip: 1 or 2, the same bytes on every machine'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l no-cache -d 'Neither read nor write the memory of layers that were packed before'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l keep-going -d 'Push the other images when one fails'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l no-resume -d 'Neither go on with uploads that an earlier run left, nor leave any to the next'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l timeout -x -d 'Longest time for each destination, as 90s, 5m or 1h30m'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l retry-attempts -x -d 'Retries of each request after its first try, from 0 to 20'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l jobs -x -d 'Concurrent transfers for each registry, from 1 to 256'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l limit-rate -x -d 'Upload at most this many bytes per second in all, as 500K or 10M (K is 1024)'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l dry-run -d 'Find, check, sign in, ask what exists, and print the plan'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l verify -d 'After the push, read the manifest back and ask for every blob'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l quiet -s q -d 'Print no progress, and the digest reference alone as the result'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l verbose -s v -d 'Log each request, retry and choice on stderr'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l progress -x -a 'auto tty plain none' -d 'auto: live bars if stderr is a terminal, nothing elsewhere'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l output -x -a 'text json' -d 'Form of the result on stdout'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l digestfile -r -F -d 'Write name@digest to this file, a line per destination'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l trace -r -F -d 'Write where the time went to this file: a page if its name ends in .html, trace events for Perfetto if in .json'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l help -s h -d 'Show this text'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -l version -d 'Show the version'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder push' -F
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache' -a path -d 'Print the path of the file that remembers earlier pushes'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache' -a clear -d 'Forget all earlier pushes'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache' -l help -s h -d 'Show this text'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache' -l version -d 'Show the version'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache path' -l help -s h -d 'Show this text'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache path' -l version -d 'Show the version'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache clear' -l help -s h -d 'Show this text'
complete -c idpbuilder -n '__fish_idpbuilder_at idpbuilder cache clear' -l version -d 'Show the version'
