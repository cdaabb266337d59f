# Attacks on every route that takes a body, and on HTTP itself: JSON that is
# none or too much, requests that two readers would cut differently, headers
# and bodies without end. Each is refused by a problem document, or by nginx
# before any of it is looked at; nothing is written and the worker lives.

use lib 't/lib';
use MCHost::Test;
use MCHost::Routes;
use Digest::SHA qw(sha256_hex);
use JSON::PP ();

my $t = MCHost::Test->new(nginx => { API => 'client_max_body_size 2m; client_body_timeout 1s;', SERVER => 'client_header_timeout 1s;' });
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'victim')->{id};
my $op = do { my $k = uuid7(); (my $token = (new_token($k))[0]) =~ s/^mch/mcp/;
    $t->sql("INSERT INTO platform_keys (id, name, key_hash) VALUES ('$k', 'x', '" . sha256_hex($token) . "')"); $token };
my $member = uuid7();
$t->sql("INSERT INTO members (tenant_id, id, email, role) VALUES ('$acme->{id}', '$member', 'a\@example.com', 'viewer')");

my %of = (servers => $id, members => $member, 'platform/tenants' => $acme->{id});
my @takers = grep { $_->{body} ne 'NONE' } MCHost::Routes::all(root);
my @worker = $t->nginx->workers;

# Everything in the database but for when a key was last used.
my @tables = grep { !/^key_use$/ } split /\n/, $t->sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'");
sub everything { return $t->sql('SELECT md5(string_agg(x, chr(10) ORDER BY x)) FROM (' . join(' UNION ALL ', map { "SELECT '$_ ' || a::text AS x FROM $_ a" } @tables) . ') y') }
my $before = everything();

sub path_of {
    my ($r) = @_;

    my ($first) = $r->{pattern} =~ m{^(.*?)/\{id\}};
    return MCHost::Routes::path($r->{pattern}, $first ? (id => $of{$first} // die "$r->{name}: no id for it here\n") : ());
}

sub key_of { return $_[0]{scope} eq 'PLATFORM' ? $op : $acme->{key} }

sub head_of {
    my ($r) = @_;

    return { Authorization => 'Bearer ' . key_of($r), 'Content-Type' => $r->{body} eq 'MERGE_PATCH' ? 'application/merge-patch+json' : 'application/json',
        $r->{method} =~ /^(PUT|PATCH)$/ ? ('If-Match' => '*') : () };
}

# What is wrong with an answer that should be a refusal by a problem document.
sub no_refusal {
    my ($r, $status) = @_;

    return 'status ' . $r->status . ': ' . substr $r->body, 0, 200 if $r->status !~ $status;
    return 'is ' . ($r->header('Content-Type') // 'of no type') if ($r->header('Content-Type') // '') !~ m{^application/problem\+json};
    my $d = $r->json or return 'no JSON: ' . $r->body;
    return 'says another status' if $d->{status} != $r->status;
    return 'has no requestId' unless length($d->{requestId} // '');
    return 'shows the inside: ' . $r->body if $r->body =~ /SELECT|INSERT|pg_|libpq|yajl|\.c:\d|\/tmp\//;
    return;
}

sub all_refused {
    my ($r, $bodies, $status) = @_;

    my @bad;
    for my $name (sort keys %$bodies) {
        my $a = $t->api($r->{method}, path_of($r), key => key_of($r), headers => head_of($r), body => $bodies->{$name});
        my $why = no_refusal($a, $status);
        push @bad, "$name: $why" if $why;
    }
    is_deeply(\@bad, [], $r->{name});
}

subtest 'JSON that is none' => sub {
    my %bad = (
        'nothing'             => '',
        'twice a key'         => '{"name":"x","name":"y"}',
        'twice by escape'     => '{"name":"x","n\u0061me":"y"}',
        'twice below'         => '{"spec":{"a":1,"a":2}}',
        '1e400'               => '{"name":1e400}',
        '-1e400'              => '{"name":-1e400}',
        '1e-400 in a list'    => '{"name":[1e99999]}',
        'NaN'                 => '{"name":NaN}',
        'Infinity'            => '{"name":-Infinity}',
        'a lone surrogate'    => '{"name":"\ud800"}',
        'the other half'      => '{"name":"\udc00"}',
        'a surrogate, text'   => '{"name":"\ud800x"}',
        'two first halves'    => '{"name":"\ud800\ud800"}',
        'a lone one as a key' => '{"\udfff":1}',
        'NUL'                 => "{\"name\":\"a\0b\"}",
        'NUL outside'         => "{\"name\":1}\0",
        'NUL escaped'         => '{"name":"\u0000"}',
        'overlong NUL'        => "{\"name\":\"\xc0\x80\"}",
        'overlong /'          => "{\"name\":\"\xe0\x80\xaf\"}",
        'overlong, 4 bytes'   => "{\"name\":\"\xf0\x80\x80\xaf\"}",
        'beyond Unicode'      => "{\"name\":\"\xf4\x90\x80\x80\"}",
        '5 bytes'             => "{\"name\":\"\xf8\x88\x80\x80\x80\"}",
        'surrogate in UTF-8'  => "{\"name\":\"\xed\xa0\x80\"}",
        'cut off'             => "{\"name\":\"\xe2\x82\"}",
        '100 deep'            => '{"name":' . '[' x 100 . ']' x 100 . '}',
        '100 objects deep'    => '{"a":' x 100 . '1' . '}' x 100,
        'deep and open'       => '[' x 200_000,
        'an open string'      => '{"name":"' . 'x' x 1000,
        'two documents'       => '{}{}',
        'a comment'           => '{/* */}',
        'a comma'             => '{"name":"x",}',
        'UTF-16'              => "\xff\xfe{\0}\0",
        'a mark of order'     => "\xef\xbb\xbf{}",
    );
    all_refused($_, \%bad, qr/^400$/) for @takers;
};

subtest 'too much' => sub {
    my $mb = 'x' x 1_000_000;
    my %bad = (
        'a string of 1 MB'    => qq({"name":"$mb"}),
        'a key of 1 MB'       => qq({"$mb":1}),
        'in every field'      => '{' . join(',', map { qq("$_":") . 'x' x 100_000 . '"' } qw(name email spec command topic data token password role)) . '}',
        '60 000 keys'         => '{' . join(',', map { qq("k$_":1) } 1 .. 60_000) . '}',
        '300 000 numbers'     => '{"name":[' . '1,' x 300_000 . '1]}',
        'a number of 100 kB'  => '{"name":' . '9' x 100_000 . '}',
        'a fraction of 100 kB' => '{"name":0.' . '1' x 100_000 . '}',
        'escapes of 1 MB'     => '{"name":"' . '\u0041' x 160_000 . '"}',
    );
    all_refused($_, \%bad, qr/^4(00|13|22)$/) for @takers;
    all_refused($_, { '3 MB' => '{"name":"' . $mb x 3 . '"}' }, qr/^413$/) for @takers;
};

subtest 'of another type' => sub {
    my %bad = map { $_ => $_ } 'null', 'true', '1', '"x"', '[]', '[{}]', '""';
    all_refused($_, \%bad, qr/^4(00|22)$/) for @takers;
    for my $r (@takers) {
        for my $type ('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonx', '', "application/json\xff") {
            my $a = $t->api($r->{method}, path_of($r), key => key_of($r), headers => { %{ head_of($r) }, 'Content-Type' => $type }, body => '{}');
            my $why = no_refusal($a, qr/^415$/);
            ok(!$why, "$r->{name} of \"$type\"") or diag $why;
        }
    }
};

# -- HTTP --

# Sends bytes and returns the statuses of all answers until nginx ends the
# connection: for a refusal, or because a last request asked for it.
sub statuses {
    my ($bytes) = @_;

    my $c = MCHost::Http->connect($t->port);
    $c->write($bytes);
    my @s;
    while (my $r = eval { $c->receive(timeout => 10) }) { push @s, $r->status; last if @s > 10 }
    push @s, 'no end' if $@;
    $c->close;
    return "@s";
}

subtest 'smuggling' => sub {
    my $hidden = "DELETE /api/v1/servers/$id HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $acme->{key}\r\n\r\n";
    my $n = length $hidden;

    for my $r (@takers) {
        my $h = head_of($r);
        my $start = "$r->{method} /api/v1" . path_of($r) . " HTTP/1.1\r\nHost: x\r\n" . join '', map { "$_: $h->{$_}\r\n" } sort keys %$h;
        my %refused = (
            'CL and TE'          => "Content-Length: $n\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$hidden",
            'TE and CL'          => "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$hidden",
            'two CL'             => "Content-Length: 2\r\nContent-Length: $n\r\n\r\n{}$hidden",
            'two CL, the same'   => "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}$hidden",
            'CL in a list'       => "Content-Length: 2, 2\r\n\r\n{}$hidden",
            'CL with a sign'     => "Content-Length: +2\r\n\r\n{}$hidden",
            'a negative CL'      => "Content-Length: -1\r\n\r\n{}$hidden",
            'CL in hexadecimal'  => "Content-Length: 0x2\r\n\r\n{}$hidden",
            'CL too large'       => "Content-Length: 99999999999999999999\r\n\r\n{}$hidden",
            'an empty CL'        => "Content-Length:\r\n\r\n{}$hidden",
            'TE of two'          => "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n$hidden",
            'TE twice'           => "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$hidden",
            'TE unknown'         => "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n$hidden",
            'TE after a tab'     => "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n$hidden",
            'a blank before :'   => "Content-Length : 2\r\n\r\n{}$hidden",
            'a folded header'    => "X-A: 1\r\n Content-Length: $n\r\nContent-Length: 2\r\n\r\n{}$hidden",
            'a folded TE'        => "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n$hidden",
            'a bare CR'          => "X-A: 1\rContent-Length: $n\r\n\r\n{}$hidden",
            'NUL in a header'    => "X-A: 1\0\r\nContent-Length: 2\r\n\r\n{}$hidden",
            'a chunk of no size' => "Transfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n$hidden",
            'a chunk of -1'      => "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n$hidden",
            'a chunk of 0x2'     => "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n$hidden",
            'a chunk too large'  => "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n$hidden",
            'a chunk too short'  => "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n$hidden",
        );
        my @bad;
        for my $name (sort keys %refused) {
            my $s = statuses($start . $refused{$name});
            push @bad, "$name: $s" if $s !~ /^(4\d\d|501)$/;
        }
        is_deeply(\@bad, [], "$r->{name}: one refusal, and no request behind it");

        # what RFC 9112 lets a server accept is read as one request
        (my $bare = $start) =~ s/\r\n/\n/g;
        my $last = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        like(statuses("${bare}Content-Length: 1\n\n{$last"), qr/^(4\d\d|4\d\d 200)$/, "$r->{name}: bare LF");
        like(statuses("${start}Transfer-Encoding: chunked\r\n\r\n1;x=\"" . 'y' x 500 . "\"\r\n{\r\n0\r\nX-Trailer: $id\r\n\r\n$last"), qr/^(4\d\d|4\d\d 200)$/, '… an extension and a trailer');
        like(statuses("${start}Content-Length: 1\r\n\r\n{$last"), qr/^4\d\d 200$/, '… and what follows a refusal is the next request');
    }
    is($t->api(GET => "/servers/$id", key => $acme->{key})->status, 200, 'no hidden request was carried out');
};

subtest 'routes that take no body' => sub {
    my @r = grep { $_->{body} eq 'NONE' && $_->{pattern} !~ /\{/ && $_->{method} eq 'GET' && $_->{scope} ne 'PLATFORM' } MCHost::Routes::all(root);
    my $hidden = "DELETE /api/v1/servers/$id HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $acme->{key}\r\n\r\n";
    my $last = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for my $r (@r) {
        my $start = "GET /api/v1/$r->{pattern} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $acme->{key}\r\n";
        like(statuses($start . 'Content-Length: ' . length($hidden) . "\r\n\r\n$hidden$last"), qr/^\d\d\d 200$/, "$r->{name}: its body is no request");
        like(statuses(sprintf "%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n%s", $start, length $hidden, $hidden, $last), qr/^\d\d\d 200$/, '… nor in chunks');
        like(statuses("${start}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$hidden"), qr/^400$/, '… nor by both lengths');
    }
    is($t->api(GET => "/servers/$id", key => $acme->{key})->status, 200, 'the server is there');
};

subtest 'headers' => sub {
    my %bad = (
        'one of 9 kB'        => [ qr/^4(00|31|14)$/, { 'X-A' => 'x' x 9000 } ],
        'an enormous token'  => [ qr/^40[01]$/, { Authorization => 'Bearer ' . 'x' x 7000 } ],
        'a thousand'         => [ qr/^4(00|31)$/, { map { ("X-A$_" => 'x' x 100) } 1 .. 1000 } ],
        'of 20 kB in all'    => [ qr/^2|^4/, { map { ("X-A$_" => 'x' x 2000) } 1 .. 10 } ],
        'a long cookie'      => [ qr/^4|^2/, { Cookie => '__Host-mchost=' . 'x' x 7000 } ],
    );
    for my $name (sort keys %bad) {
        my ($want, $h) = @{ $bad{$name} };
        my $a = $t->api(GET => '/me', key => $acme->{key}, headers => $h);
        like($a->status, $want, $name);
    }
    like($t->api(GET => '/me?' . 'x' x 9000, key => $acme->{key})->status, qr/^4(14|00)$/, 'a long query');
    like($t->api(GET => '/' . 'x/' x 4000, key => $acme->{key})->status, qr/^4(14|04)$/, 'a long path');
    for my $token ('', 'x', 'mch_', 'mch_' . '0' x 32, 'mch_' . '0' x 32 . '_' . 'x' x 42, 'mch_' . '0' x 32 . '_' . 'x' x 44, 'mch_' . '0' x 32 . '_' . "'" x 43,
        'mch_' . 'A' x 32 . '_' . 'x' x 43, 'mcx_' . '0' x 32 . '_' . 'x' x 43, "mch_\xff" . '0' x 31 . '_' . 'x' x 43, uc $acme->{key}, "$acme->{key}x", substr($acme->{key}, 0, -1), "x$acme->{key}") {
        is($t->api(GET => '/me', headers => { Authorization => "Bearer $token" })->status, 401, 'no key: ' . substr $token, 0, 40);
    }
    is($t->api(GET => '/me', headers => { Authorization => $_ })->status, 401, "\"$_\"") for 'Bearer', 'Basic eDp4', "Bearer\t$acme->{key}", "Token $acme->{key}", $acme->{key};
    for my $h ({ 'If-Match' => '"' . '9' x 400 . '"' }, { 'If-Match' => 'W/"1"' }, { 'If-Match' => '"1" OR 1' }, { 'If-Match' => ',' x 4000 }, { 'Idempotency-Key' => 'x' x 4000 }) {
        my $a = $t->api(DELETE => '/servers/' . uuid7(), key => $acme->{key}, headers => $h);
        like($a->status, qr/^4/, join ' ', map { substr "$_: $h->{$_}", 0, 40 } keys %$h);
    }
    my $a = $t->api(GET => '/me', key => $acme->{key}, headers => { 'X-Request-Id' => 'x' x 129 });
    unlike($a->header('X-Request-Id'), qr/xxx/, 'a request id that is too long is not echoed');
};

subtest 'slow ones' => sub {
    my @c;
    for my $r (@takers) {
        my $h = head_of($r);
        for my $length ([ 'Content-Length' => 1000 ], [ 'Transfer-Encoding' => 'chunked' ]) {
            my $c = MCHost::Http->connect($t->port);
            $c->send($r->{method}, '/api/v1' . path_of($r), undef, { %$h, @$length });
            $c->write($length->[1] eq 'chunked' ? "5\r\n{" : '{');
            push @c, [ "$r->{name} by $length->[0]", $c ];
        }
    }
    my $c = MCHost::Http->connect($t->port);
    $c->write("GET /api/v1/me HTTP/1.1\r\nHost:");
    push @c, [ 'a header that never ends', $c ];
    is($t->api(GET => '/me', key => $acme->{key})->status, 200, 'others are served meanwhile');
    for (@c) {
        my $r = eval { $_->[1]->receive(timeout => 15) };
        ok(!$@ && (!$r || $r->status =~ /^4/), "$_->[0]: ended") or diag $@ || $r->status;
    }
};

subtest 'clients that go away' => sub {
    for my $r (@takers) {
        my $h = head_of($r);
        for my $part ('', '{', '{"name":"x"', '{}') {
            my $c = MCHost::Http->connect($t->port);
            $c->send($r->{method}, '/api/v1' . path_of($r), undef, { %$h, 'Content-Length' => 2 + length $part });
            $c->write($part);
            $c->close;
        }
    }
    is($t->api(GET => '/me', key => $acme->{key})->status, 200, 'nobody minds');
};

subtest 'nothing came of it' => sub {
    is(everything(), $before, 'not a byte in the database has changed');
    is_deeply([ $t->nginx->workers ], \@worker, 'the same worker');
    is($t->redis->client('reconciler')->call('EXISTS', 'mchost:cmd'), 0, 'no command was given');
    unlike(slurp($t->nginx->{log}), qr/\Q$acme->{key}\E|\Q$op\E/, 'no key in the log');
};

done_testing;
