package MCHost::Test;

# A whole platform of its own for one test file: PostgreSQL, Redis, nginx,
# and on demand the reconciler and Podman, in one temporary directory. All
# of it ends with the test, however that ends; done_testing() stops it in
# good order first and fails for any [alert], [emerg] or sanitizer line.
#
#   use MCHost::Test;                       # brings Test::More, strict, warnings
#   my $t = MCHost::Test->new;              # postgres, redis, nginx; see new()
#   my $acme = $t->tenant('acme');          # { id, name, key }
#   my $r = $t->api(GET => '/servers', key => $acme->{key});
#   is($r->status, 200);
#   my $ws = $t->ws(key => $acme->{key});   # MCHost::WebSocket
#   done_testing;

use strict;
use warnings;
use Cwd ();
use Digest::SHA qw(sha256_hex);
use File::Path qw(remove_tree);
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();
use MCHost::Http;
use MCHost::Nginx;
use MCHost::Postgres;
use MCHost::Process;
use MCHost::Proxy;
use MCHost::Reconciler;
use MCHost::Redis;
use MCHost::WebSocket;
use Test::More ();
use Time::HiRes qw(sleep time);

my ($root) = Cwd::realpath(__FILE__) =~ m{^(.*)/t/lib/MCHost/Test\.pm$};
my @stacks;
my $owner = $$;

our @EXPORT = qw(wait_for free_port uuid7 new_token slurp root san);

sub import {
    my $to = caller;

    strict->import;
    warnings->import;
    Test::More->export_to_level(1, undef, grep { $_ ne 'done_testing' } @Test::More::EXPORT);
    no strict 'refs';
    *{"${to}::$_"} = \&$_ for @EXPORT;
    *{"${to}::done_testing"} = \&done_testing;
    *{"${to}::true"} = sub () { JSON::PP::true() };
    *{"${to}::false"} = sub () { JSON::PP::false() };
    $SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 130 } if $$ == $owner;
    $SIG{PIPE} = 'IGNORE';
    chdir $root or die "$root: $!";
}

sub root { $root }
sub san  { MCHost::Nginx::san() }

# Until the condition is true, whose value is returned; or fails the test by
# dying with what. An error of the condition counts as false.
sub wait_for (&;$$) {
    my ($cond, $what, $timeout) = @_;

    my $end = time + ($timeout // 20);
    my ($v, $err) = ('', '');

    while (1) {
        $v = eval { $cond->() };
        $err = $@;
        return $v if $v;
        last if time > $end;
        sleep 0.02;
    }

    chomp $err;
    die 'waited in vain for ' . ($what // 'a condition') . ($err ? ": $err" : '') . "\n";
}

# A free port below the range that outgoing connections use.
sub free_port {
    my ($n) = @_;

    $n //= 1;

    PORT: for (1 .. 500) {
        my $port = 20000 + int rand(12000 - $n);

        for my $p ($port .. $port + $n - 1) {
            my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $p, Listen => 1) or next PORT;
            close $s;
            last if $n > 10 && $p > $port + 10;
        }

        return $port;
    }

    die "no free port\n";
}

sub uuid7 {
    my $ms = int(time * 1000);
    my $hex = sprintf '%012x7%03x%04x%012x', $ms, int rand 4096, 0x8000 | int rand 0x4000, int rand 2**48;
    return join '-', unpack 'A8 A4 A4 A4 A12', $hex;
}

# (token, hash) of an API key with this id.
sub new_token {
    my ($id) = @_;

    my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
    (my $hex = $id) =~ tr/-//d;
    my $token = "mch_${hex}_" . join '', map { $alphabet[ rand @alphabet ] } 1 .. 43;
    return ($token, sha256_hex($token));
}

sub slurp {
    my ($file) = @_;

    open my $f, '<', $file or return '';
    local $/;
    return readline($f) // '';
}

my $template = <<'EOT';
%LOAD%
%USER%
worker_processes %WORKERS%;
pid %DIR%/nginx.pid;
error_log %DIR%/error.log %LOG_LEVEL%;
worker_shutdown_timeout 10s;
thread_pool default threads=2 max_queue=64;
%MAIN%
events { worker_connections %WORKER_CONNECTIONS%; }
http {
    access_log %DIR%/access.log;
    client_body_temp_path %DIR%/tmp-body;
    proxy_temp_path %DIR%/tmp-proxy;
    fastcgi_temp_path %DIR%/tmp-fastcgi;
    uwsgi_temp_path %DIR%/tmp-uwsgi;
    scgi_temp_path %DIR%/tmp-scgi;
    %POSTGRES%
    %REDIS%
    mchost_zone mchost 1m;
    %HTTP%
    server {
        listen 127.0.0.1:%PORT% %LISTEN%;
        server_name localhost;
        location /api/v1/ { mchost_api main platform=platform; %API% }
        location = /api/v1/ws { mchost_websocket main %WS%; }
        location = /healthz { mchost_health; }
        location = /readyz { mchost_ready main; }
        location = /metrics { mchost_metrics; allow 127.0.0.1; deny all; }
        location / { root %ROOT%/dashboard; }
        %SERVER%
    }
}
EOT

# postgres, redis, nginx: 0 to do without. start => 0: nginx is configured
# only. migrate => 0: an empty database.
# nginx => { WORKERS, CONNECTIONS, PIPELINE, QUEUE, QUERY_TIMEOUT, POOL (more
#   lines of mchost_postgres), WS, API, HTTP, SERVER, MAIN, LISTEN, template }.
# pg_host, redis_path: other sockets than the services' own (a proxy's).
# reconciler => 1 or { setting => value }; podman => 1, kube => 1 (MCHost::Kube):
# its engine. Without postgres and with kube it sees the test's namespace only.
sub new {
    my ($class, %o) = @_;

    my $dir = File::Temp::tempdir('mch-XXXXXX', DIR => '/tmp');
    chmod 0755, $dir;
    my $self = bless { dir => $dir, owner => $$, o => \%o, root => $root, allow => [] }, $class;
    push @stacks, $self;

    $self->{pg} = MCHost::Postgres->new($root, "$dir/pg") if $o{postgres} // 1;
    $self->{redis} = MCHost::Redis->new($root, $dir) if $o{redis} // 1;
    $self->{podman} = $self->_podman if $o{podman};
    $self->{kube} = $self->_kube if $o{kube};
    $self->_reconciler;
    $self->migrate if $self->{pg} && ($o{migrate} // 1);
    $self->_nginx if ref $o{nginx} || ($o{nginx} // 1);
    $self->{recon}->start if $o{reconciler};
    return $self;
}

sub dir   { $_[0]{dir} }
sub pg    { $_[0]{pg} }
sub redis { $_[0]{redis} }
sub nginx { $_[0]{nginx} }
sub recon { $_[0]{recon} }
sub podman { $_[0]{podman} }
sub kube   { $_[0]{kube} }
sub port  { $_[0]{nginx}{port} }
sub sql   { my ($self, @a) = @_; return $self->{pg}->sql(@a) }

sub migrate {
    my ($self) = @_;

    my ($status, $said) = $self->{recon}->run('--migrate');
    die "migration failed: $said\n" if $status;
}

sub _podman {
    my ($self) = @_;

    require MCHost::Podman;
    return MCHost::Podman->new($root, $self->{dir});
}

sub _kube {
    my ($self) = @_;

    require MCHost::Kube;
    return MCHost::Kube->new($root, $self->{dir});
}

sub _reconciler {
    my ($self) = @_;

    my $o = $self->{o};
    my $pw = MCHost::Redis::PASSWORD;
    my $admin = free_port();
    my %s = (admin_listen => "127.0.0.1:$admin", poll_interval => '500ms', secret_file => "$self->{dir}/rcon.secret");

    open my $f, '>', $s{secret_file} or die "$s{secret_file}: $!";
    chmod 0600, $s{secret_file};
    print $f sha256_hex(rand . $$);
    close $f;

    if (my $pg = $self->{pg}) {
        my $host = ref $o->{reconciler} ? $o->{reconciler}{pg_host} : undef;
        $s{database_url} = $pg->conninfo('mchost_reconciler', host => $host);
        $s{migrate_url} = $pg->conninfo('mchost_owner');
    }

    @s{qw(redis_url redis_user redis_password)} = ('unix:' . $self->{redis}->path, 'reconciler', $pw->{reconciler}) if $self->{redis};

    if (my $podman = $self->{podman}) {
        my $base = free_port(20);
        @s{qw(engine podman_socket game_address game_ports demo_image)} =
            ('podman', $podman->socket, '127.0.0.1', "$base-" . ($base + 19), $podman->image);
    }

    if (my $kube = $self->{kube}) {
        @s{qw(engine kubeconfig kube_namespace kube_namespace_prefix demo_image)} =
            ('kubernetes', $kube->kubeconfig, $self->{pg} ? '' : $kube->ns, $kube->prefix, $kube->image);
        $s{$_} //= '' for qw(database_url redis_url);
    }

    if (ref $o->{reconciler}) {
        $s{$_} = $o->{reconciler}{$_} for grep { $_ ne 'pg_host' } keys %{ $o->{reconciler} };
    }

    mkdir "$self->{dir}/san";
    chmod 01777, "$self->{dir}/san";
    $self->{recon} = MCHost::Reconciler->new(root => $root, dir => $self->{dir}, admin => $admin, settings => \%s);
}

sub _nginx {
    my ($self) = @_;

    my %n = (WORKERS => 1, WORKER_CONNECTIONS => 512, LOG_LEVEL => 'info', CONNECTIONS => 2, PIPELINE => 8, QUEUE => '256 timeout=2s',
        QUERY_TIMEOUT => '5s', map({ $_ => '' } qw(POOL WS API HTTP SERVER MAIN LISTEN POSTGRES REDIS)), %{ ref $self->{o}{nginx} ? $self->{o}{nginx} : {} });
    my $text = delete $n{template} // $template;

    if ($self->{pg}) {
        my $conninfo = $self->{pg}->conninfo('mchost_api', host => $self->{o}{pg_host});
        $n{POSTGRES} ||= qq(mchost_postgres main { conninfo "$conninfo"; connections %CONNECTIONS%; pipeline %PIPELINE%;)
            . ' queue %QUEUE%; query_timeout %QUERY_TIMEOUT%; %POOL% }'
            . ' mchost_postgres platform { conninfo "' . $self->{pg}->conninfo('mchost_platform', host => $self->{o}{pg_host})
            . '"; connections 1; }';
    }

    if ($self->{redis}) {
        my $path = $self->{o}{redis_path} // $self->{redis}->path;
        $n{REDIS} ||= "mchost_redis unix:$path prefix=mchost: user=nginx password=" . MCHost::Redis::PASSWORD->{nginx} . ';';
    }

    $self->{nginx} = MCHost::Nginx->new(root => $root, dir => $self->{dir}, port => free_port(), template => $text, vars => \%n);
    return unless $self->{o}{start} // 1;
    $self->{nginx}->start;
    $self->wait_ready;
}

# Until every worker's connections stand.
sub wait_ready {
    my ($self) = @_;

    wait_for { MCHost::Http::request($self->port, GET => '/readyz')->status == 200 } 'readyz', 30;
}

# A tenant with an owner's key. max_servers (100).
sub tenant {
    my ($self, $name, %o) = @_;

    my $id = uuid7();
    my $max = $o{max_servers} // 100;
    $self->sql("INSERT INTO tenants (tenant_id, name, max_servers) VALUES ('$id', '$name', $max);"
        . "INSERT INTO tenant_usage (tenant_id) VALUES ('$id')");
    my $t = { id => $id, name => $name };
    $t->{key} = $self->key($t, role => 'owner');
    return $t;
}

# A key of a tenant: role (owner), expires and revoked as SQL expressions.
sub key {
    my ($self, $tenant, %o) = @_;

    my $id = uuid7();
    my ($token, $hash) = new_token($id);
    my ($role, $name) = ($o{role} // 'owner', $o{name} // 'test');
    my ($expires, $revoked) = ($o{expires} // 'NULL', $o{revoked} // 'NULL');
    $self->sql("INSERT INTO api_keys (tenant_id, id, name, key_hash, role, expires_at, revoked_at)"
        . " VALUES ('$tenant->{id}', '$id', '$name', '$hash', '$role', $expires, $revoked)");
    return $token;
}

# A request below /api/v1 (or to the whole path when it begins with "//").
# key, body (bytes, or a reference for JSON), headers.
sub api {
    my ($self, $method, $path, %o) = @_;

    return MCHost::Http::request($self->port, $method, _path($path), $o{body}, _headers(%o), %o);
}

sub _path { my ($path) = @_; return $path =~ s{^//}{/} ? $path : "/api/v1$path" }

sub _headers {
    my (%o) = @_;

    return { $o{key} ? (Authorization => "Bearer $o{key}") : (), %{ $o{headers} // {} } };
}

# Sends a request and returns the connection; ->receive reads the answer.
sub api_begin {
    my ($self, $method, $path, %o) = @_;

    my $c = MCHost::Http->connect($self->port, %o);
    $c->send($method, _path($path), $o{body}, _headers(%o));
    return $c;
}

# A WebSocket: key, path, headers, early.
sub ws {
    my ($self, %o) = @_;

    $o{headers} = _headers(%o);
    my $ws = MCHost::WebSocket->connect($self->port, %o);
    Test::More::diag('no WebSocket: ' . $ws->status . ' ' . $ws->response->body) if !$ws->open && !$o{refused};
    return $ws;
}

# A valid spec of a server that needs no EULA.
sub spec {
    my ($self, %o) = @_;

    return { runPolicy => 'Always', software => { type => 'demo', version => '1.20.4' }, %o };
}

# Creates a server and returns its document.
sub server {
    my ($self, $tenant, $name, %spec) = @_;

    my $r = $self->api(POST => '/servers', key => $tenant->{key}, body => { name => $name, spec => $self->spec(%spec) });
    $r->status == 201 or die "create $name: " . $r->status . ' ' . $r->body . "\n";
    return $r->json;
}

# The value of a metric of nginx (without labels, or with the given text).
sub metric {
    my ($self, $name) = @_;

    my $text = MCHost::Http::request($self->port, GET => '/metrics')->body;
    my $sum;
    while ($text =~ /^\Q$name\E(?:\{[^}]*\})? (\S+)$/mg) { $sum = ($sum // 0) + $1 }
    return $sum;
}

# Lines of nginx's log that this test provokes and that are right.
sub allow { my ($self, @re) = @_; push @{ $self->{allow} }, @re }

# Stops everything in good order and judges the logs.
sub finish {
    my ($self) = @_;

    return if $self->{finished}++;

    local $Test::Builder::Level = $Test::Builder::Level + 2;
    my @bad;

    push @bad, 'the reconciler did not stop within 25 s' if $self->{recon} && !$self->{recon}->stop;
    push @bad, 'nginx did not stop within 20 s' if $self->{nginx} && !$self->{nginx}->stop;
    push @bad, $self->{nginx}->complaints(@{ $self->{allow} }) if $self->{nginx};
    push @bad, $self->{recon}->complaints if $self->{recon};
    Test::More::ok(!@bad, 'stops in good order, logs without alerts and sanitizer reports')
        or Test::More::diag(join "\n", @bad > 60 ? @bad[ 0 .. 59 ] : @bad);
    $self->clean;
}

sub clean {
    my ($self) = @_;

    return if $self->{cleaned}++;

    $self->{nginx}{proc}->stop('TERM', 5) if $self->{nginx} && $self->{nginx}{proc};
    $self->{recon}->kill9 if $self->{recon};
    for my $engine (grep { $_ } @$self{qw(podman kube)}) {
        eval { $engine->close; 1 } or warn $@;
    }
    $self->{pg}{proc}->stop('QUIT', 10) if $self->{pg} && $self->{pg}{proc};
    $self->{redis}->stop if $self->{redis};

    if ($ENV{MCHOST_KEEP}) {
        Test::More::diag("kept: $self->{dir}");
        return;
    }

    remove_tree($self->{dir});
}

sub done_testing {
    for my $stack (@stacks) { $stack->finish }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    Test::More::done_testing();
}

END {
    if ($$ == $owner) {
        my $status = $?;
        local $@;

        for my $stack (@stacks) {
            next if $stack->{cleaned};
            Test::More::diag($stack->{nginx}->tail) if $stack->{nginx} && $status;
            eval { $stack->clean; 1 } or warn $@;
        }

        MCHost::Process::kill_all();
        $? = $status;
    }
}

1;
