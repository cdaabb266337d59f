# The reconciler is killed with -9 at every write that it makes to the engine
# while it creates and deletes a server, and at every request while it stops
# one (which it does over RCON): as the request goes out, and when it was done
# but its answer not read. Started again it converges, and never are there two
# containers on one world.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '500ms' });
my $podman = $t->podman;
my $proxy = $podman->proxy;
my $acme = $t->tenant('acme', max_servers => 1000);
my $n = 0;

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, timeout => 30, %o) }
sub status { return api(GET => "/servers/$_[0]") }
sub is_state { my ($id, $state) = @_; my $d = status($id)->json; return $d->{status}{state} eq $state && ($d->{status}{observedGeneration} // 0) == $d->{generation} }
sub gone { return status($_[0])->status == 404 }
sub of { my ($kind, $id) = @_; return grep { /\Q$id\E/ } $podman->names($kind) }

sub create { return $t->server($acme, 's' . ++$n, shutdown => { announceSeconds => 0, graceSeconds => 20 })->{id} }
sub running { my ($id) = @_; wait_for { is_state($id, 'Running') } 'Running', 90 }

my %op = (
    create => {
        before => sub { return undef },
        do     => \&create,
        want   => sub { my ($id) = @_; running($id); return [ of('running', $id) ], ["mc-$id-server"] },
    },
    stop => {
        before => sub { my $id = create(); running($id); return $id },
        do     => sub { api(POST => "/servers/$_[0]/actions/stop"); return $_[0] },
        want   => sub { my ($id) = @_; wait_for { is_state($id, 'Stopped') } 'Stopped', 90; return [ of('running', $id) ], [] },
    },
    delete => {
        before => sub { my $id = create(); running($id); return $id },
        do     => sub { api(DELETE => "/servers/$_[0]?purge=true"); return $_[0] },
        want   => sub { my ($id) = @_; wait_for { gone($id) } 'gone', 90; return [ map { of($_, $id) } qw(pods volumes secrets) ], [] },
    },
);

sub finish_off {
    my ($id) = @_;

    api(DELETE => "/servers/$id?purge=true");
    wait_for { gone($id) } 'the end of it', 90;
}

# One round; returns the request at which it was killed, undef when there are
# not that many.
sub round {
    my ($name, $k, $when) = @_;

    my $op = $op{$name};
    my $id = $op->{before}->();
    $proxy->watch(k => $k, pid => $t->recon->pid, when => $when, all => $name eq 'stop');
    $id = $op->{do}->($id);

    my $end = eval {
        wait_for {
            defined $proxy->fired || ($name eq 'create' ? is_state($id, 'Running') : $name eq 'stop' ? is_state($id, 'Stopped') : gone($id))
        } 'the kill or the end', 90;
    };
    my $fired = $proxy->fired;
    $proxy->watch(k => 1e9, pid => 0);

    if (defined $fired) {
        $fired =~ s/\Q$id\E/ID/g;
        $fired =~ s/\?.*//;
        wait_for { !$t->recon->{proc}->alive } 'the reconciler to die';
        my @now = of('running', $id);
        cmp_ok(scalar @now, '<=', 1, "$name, killed $when $k: $fired: at most one container");
        $t->recon->start(wait => 0);
        my ($got, $want) = eval { $op->{want}->($id) };
        is_deeply($got, $want, '… converges') or diag $@, explain(status($id)->json), $t->recon->tail;
        is((grep { $_ eq "mc-$id" } $podman->names('volumes')) + 0, $name eq 'delete' ? 0 : 1, '… worlds');
    }

    finish_off($id) unless gone($id);
    return $fired;
}

for my $name (qw(create stop delete)) {
    subtest $name => sub {
        for my $when (san() ? 'after' : qw(before after)) {
            my $k = 1;
            $k++ while $k <= 8 && defined round($name, $k, $when);
            cmp_ok($k - 1, '>=', 1, "$when: " . ($k - 1) . ' writes');
        }
    };
}

subtest 'nothing is left' => sub {
    is_deeply([ map { $podman->names($_) } qw(pods secrets volumes) ], [], 'of any of them');
};

done_testing;
