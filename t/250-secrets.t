# Secrets stay where they belong: keys, tokens, passwords and what opens the
# database, Redis and the console are looked for in every file of the stack, in
# every command line, in what the database says of its sessions, and in every
# answer but the one that shows them.

use lib 't/lib';
use MCHost::Test;
use Digest::SHA qw(hmac_sha1 hmac_sha256_hex sha256_hex);
use File::Find;
use Time::HiRes qw(time);

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '1s' });
my $acme = $t->tenant('acme');
my (%secret, %shown, %in, @answers, %argv);

# Whether a text has it: one password may be the end of another one.
sub has { my ($text, $name) = @_; return $name =~ /^the database/ ? $text =~ /(?<![\w-])\Q$secret{$name}\E/ : index($text, $secret{$name}) >= 0 }

# A secret: where it may be, as a pattern of files below the stack's directory.
sub secret { my ($name, $value, $in) = @_; length($value // '') > 5 or die "$name is no secret\n"; $secret{$name} = $value; $in{$name} = $in // qr/^\b\B/; return $value }

sub look_at_processes {
    for my $file (glob '/proc/[0-9]*/cmdline') {
        my $line = slurp($file) =~ tr/\0/ /r;
        $argv{$line} = 1 if length $line;
    }
}

# A request whose answer may show the named ones.
sub ask {
    my ($method, $path, %o) = @_;

    my $r = $t->api($method, $path, %o);
    push @answers, [ "$method $path", join("\n", $r->status, @{ $r->{list} }, $r->body), $o{shows} // [] ];
    look_at_processes();
    return $r;
}

sub code {
    my ($base32, $step) = @_;

    my $bits = join '', map { sprintf '%05b', index 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $_ } split //, $base32;
    my $h = hmac_sha1(pack('NN', 0, int(time / 30) + $step), pack 'B*', substr $bits, 0, length($bits) - length($bits) % 8);
    return sprintf '%06d', (unpack('N', substr $h, ord(substr $h, 19) & 15, 4) & 0x7fffffff) % 1_000_000;
}

# -- What the stack was given --

secret('the key of an owner', $acme->{key});
my %pg = %{ MCHost::Postgres::PASSWORD() };
my %redis = %{ MCHost::Redis::PASSWORD() };
secret("the database password of $_", $pg{$_}, qr{^(nginx|reconciler)\.conf$}) for qw(mchost_api mchost_platform mchost_reconciler mchost_owner);
secret("the Redis password of $_", $redis{$_}, qr{^(nginx\.conf|reconciler\.conf|users\.acl)$}) for qw(nginx reconciler);
my $rcon = secret('what console passwords are made of', slurp("$t->{dir}/rcon.secret"), qr/^rcon\.secret$/);

my $opid = uuid7();
(my $op = (new_token($opid))[0]) =~ s/^mch/mcp/;
$t->sql("INSERT INTO platform_keys (id, name, key_hash) VALUES ('$opid', 'x', '" . sha256_hex($op) . "')");
secret('the key of an operator', $op);

subtest 'keys' => sub {
    my $k = ask(POST => '/keys', key => $acme->{key}, body => { name => 'shop' }, shows => ['a key'], headers => { 'Idempotency-Key' => 'k' })->json;
    secret('a key', $k->{secret});
    is(ask(GET => '/servers', key => $k->{secret})->status, 200, 'it opens');
    ask(POST => '/keys', key => $acme->{key}, body => { name => 'shop' }, headers => { 'Idempotency-Key' => 'k' }) for 1 .. 2;
    ask(GET => $_, key => $acme->{key}) for '/keys', "/keys/$k->{id}", '/me', '/audit';
    is(ask(DELETE => "/keys/$k->{id}", key => $acme->{key})->status, 204, 'revoked');
    is(ask(GET => '/servers', key => $k->{secret})->status, 401, 'dead');
    ask(GET => '/servers', key => $k->{secret} . 'x');
    my $p = ask(POST => '/platform/keys', key => $op, body => { name => 'x' }, shows => ["a new operator's key"])->json;
    secret("a new operator's key", $p->{secret});
    my $n = ask(POST => '/platform/tenants', key => $op, body => { name => 'new' }, shows => ["a new tenant's key"])->json;
    secret("a new tenant's key", $n->{ownerKey});
    ask(GET => $_, key => $op) for '/platform/keys', '/platform/tenants', '/platform/stats';
};

subtest 'people' => sub {
    my $password = secret('a password', 'correct horse battery ' . uuid7());
    my $next = secret('a new password', 'another horse ' . uuid7());
    my $wrong = secret('a wrong password', 'wrong horse ' . uuid7());
    my $m = ask(POST => '/members', key => $acme->{key}, body => { email => 'ann@example.org', role => 'admin' }, shows => ['an invitation'])->json;
    secret('an invitation', $m->{invitation});
    ask(POST => '/members/accept', body => { token => $m->{invitation}, password => $password, more => 1 });
    is(ask(POST => '/members/accept', body => { token => $m->{invitation}, password => $password })->status, 200, 'accepted');
    ask(POST => '/members/accept', body => { token => $m->{invitation}, password => $password });
    is(ask(POST => '/sessions', body => { email => 'ann@example.org', password => $wrong })->status, 401, 'a wrong password');
    ask(POST => '/sessions', body => { email => [], password => $wrong, $wrong => $wrong }, shows => ['a wrong password']);
    my $r = ask(POST => '/sessions', body => { email => 'ann@example.org', password => $password }, shows => [ 'a session', 'a CSRF token' ]);
    is($r->status, 201, 'logged in') or diag $r->body;
    my ($cookie, $token) = $r->header('Set-Cookie') =~ /^(__Host-mchost=([^;]+))/;
    secret('a session', $token);
    my %h = (headers => { Cookie => $cookie, 'X-CSRF-Token' => secret('a CSRF token', $r->json->{csrfToken}) });
    my $totp = ask(POST => '/me/totp', %h, shows => ['a second factor'])->json;
    secret('a second factor', $totp->{secret}, qr{^pg/data/});
    is(ask(POST => '/me/totp/enable', %h, body => { code => code($totp->{secret}, 0) })->status, 204, 'a second factor');
    ask(POST => '/me/password', %h, body => { current => $wrong, password => $next });
    is(ask(POST => '/me/password', %h, body => { current => $password, password => $next })->status, 204, 'a new password');
    ask(GET => $_, %h, shows => [ $_ eq '/me' ? 'a CSRF token' : () ]) for '/me', '/members', "/members/$m->{id}", '/sessions', '/audit';
    my $ticket = ask(POST => '/ws-tickets', %h, shows => ['a ticket'])->json->{ticket};
    secret('a ticket', $ticket, qr/^access\.log$/);     # the shipped log format leaves arguments out
    my $ws = $t->ws(path => "/api/v1/ws?ticket=$ticket", refused => 1);
    like($ws->status, qr/^(101|401)$/, 'a ticket taken');
    is(ask(DELETE => '/sessions/current', %h)->status, 204, 'logged out');
    is(ask(GET => '/me', %h)->status, 401, 'dead');
};

subtest 'a game and its console' => sub {
    my $id = $t->server($acme, 'lobby')->{id};
    secret('the password of a console', hmac_sha256_hex($id, $rcon));
    wait_for { look_at_processes(); ask(GET => "/servers/$id", key => $acme->{key})->json->{status}{state} eq 'Running' } 'Running', 120;
    my $r = wait_for { my $a = ask(POST => "/servers/$id/console", key => $acme->{key}, body => { command => 'list' }); $a->status == 200 && $a } 'the console', 60;
    like($r->json->{output}, qr/players/, 'answers');
    ask(GET => $_, key => $acme->{key}) for "/servers/$id/logs", "/servers/$id/players", '/events', '//metrics';
    my $said = join "\n", map { $t->podman->podman(@$_) } [ 'logs', "mc-$id-server" ], [ 'inspect', "mc-$id-server" ], [ 'pod', 'inspect', "mc-$id" ];
    like($said, qr/"mc-$id-server"/, 'what Podman tells of it');
    # the image takes it from its environment, which who may ask Podman sees
    $said =~ s/"RCON_PASSWORD=\w+"//;
    ok(index($said, $secret{'the password of a console'}) < 0, '… has no password, but for the environment of its own');
    ok(index($said, $rcon) < 0, '… and not what all are made of');
    ask(DELETE => "/servers/$id?purge=true", key => $acme->{key});
};

subtest 'when the database complains' => sub {
    $t->pg->stop;
    ask(GET => '/servers', key => $acme->{key});
    ask(POST => '/sessions', body => { email => 'ann@example.org', password => $secret{'a password'} });
    $t->pg->start;
    wait_for { ask(GET => '//readyz')->status == 200 } 'readyz';
    pass('and comes back');
};

subtest 'answers' => sub {
    cmp_ok(scalar @answers, '>', 40, @answers . ' answers');
    for my $name (sort keys %secret) {
        my @bad = grep { my $a = $_; has($a->[1], $name) && !grep { $_ eq $name } @{ $a->[2] } } @answers;
        is_deeply([ map { "$_->[0]\n$_->[1]" } @bad ], [], $name);
        next if $name !~ /^a /;
        push @{ $shown{$name} }, grep { has($_->[1], $name) } @answers;
    }
    cmp_ok(scalar(grep { @{ $shown{$_} } } keys %shown), '>', 6, 'those that are shown once were seen');
};

subtest 'command lines' => sub {
    cmp_ok(scalar keys %argv, '>', 10, 'of many processes');
    for my $name (sort keys %secret) {
        is_deeply([ grep { has($_, $name) } sort keys %argv ], [], $name);
    }
};

subtest 'files' => sub {
    my (%found, $files);
    $t->sql('CHECKPOINT');
    my $any = join '|', map { quotemeta } values %secret;
    find({ no_chdir => 1, wanted => sub {
        return unless -f $_ && !-l $_;
        (my $name = $_) =~ s{^\Q$t->{dir}\E/}{};
        $files++;
        my $text = slurp($_);
        return unless $text =~ /$any/o;
        for my $s (keys %secret) { push @{ $found{$s} }, $name if has($text, $s) }
    } }, $t->dir);
    cmp_ok($files, '>', 100, "$files files");
    for my $name (sort keys %secret) {
        is_deeply([ grep { $_ !~ $in{$name} } sort @{ $found{$name} // [] } ], [], $name);
    }
    ok($found{$_}, "the search finds: $_") for 'a second factor', 'what console passwords are made of', 'the database password of mchost_api';
    is_deeply([ glob("$t->{dir}/core* $t->{dir}/*/core*") ], [], 'no core dump');
};

done_testing;
