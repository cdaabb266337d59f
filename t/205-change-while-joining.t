# A change that needs a restart comes right after a player: nobody has counted
# him yet, and he is not thrown out.

use lib 't/lib';
use MCHost::Test;
use MCHost::Bot;

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '20s' });
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'lobby')->{id};

sub status { return $t->api(GET => "/servers/$id", key => $acme->{key})->json->{status} }
sub cond { my ($type) = @_; return (grep { $_->{type} eq $type } @{ status()->{conditions} // [] })[0]{status} // '' }

wait_for { status()->{state} eq 'Running' && cond('Ready') eq 'True' } 'Running', 60;
my $a = status()->{address};
my $bot = MCHost::Bot->join_game(root(), $a->{host}, $a->{port}, 'Early');
is(status()->{players}{online}, 0, 'a player is in, and not counted yet');

is($t->api(PATCH => "/servers/$id", key => $acme->{key}, body => { spec => { properties => { motd => 'Changed' } } })->status, 200, 'a change');
ok(eval { wait_for { cond('RestartPending') eq 'True' } 'RestartPending' }, 'waits: RestartPending') or diag explain(status());
is(status()->{players}{online}, 1, 'the player was counted for it');
$bot->chat('still here');
$bot->expect_chat(qr/still here/);
ok(!(grep { $_->{event} eq 'kicked' } @{ $bot->{seen} }), 'and plays on');

$bot->quit;
ok(eval { wait_for { cond('RestartPending') eq 'False' && cond('ConfigInSync') eq 'True' && cond('Ready') eq 'True' } 'the restart', 90 }, 'restarts once the player has left')
    or diag explain(status());
done_testing;
