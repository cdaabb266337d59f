# nginx -t: every directive's wrong arguments are named in nginx's own way,
# right ones pass.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(postgres => 0, redis => 0, start => 0);
my $n = $t->nginx;

my $pool = 'mchost_postgres main { conninfo "host=/tmp dbname=x"; }';

# HTTP level text, location text → output and status of nginx -t.
sub check {
    my ($http, $location) = @_;

    $n->configure(<<"EOT");
%LOAD%
%USER%
error_log %DIR%/error-t.log;
pid %DIR%/nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path %DIR%/a; proxy_temp_path %DIR%/b; fastcgi_temp_path %DIR%/c; uwsgi_temp_path %DIR%/d; scgi_temp_path %DIR%/e;
    $http
    server { listen 127.0.0.1:%PORT%; @{[ $location // '' ]} }
}
EOT
    return $n->test_config;
}

sub good {
    my ($name, @conf) = @_;

    my ($status, $said) = check(@conf);
    ok($status == 0, $name) or diag $said;
}

sub bad {
    my ($name, $re, @conf) = @_;

    my ($status, $said) = check(@conf);
    subtest $name => sub {
        is($status, 1, 'refused');
        like($said, $re, 'with the reason');
        like($said, qr/\[emerg\]/, 'as [emerg]');
        like($said, qr/nginx\.conf:\d+|test failed/, 'and where');
        unlike($said, qr/Sanitizer|runtime error/, 'no sanitizer report');
    };
}

good('nothing of mchost', '');
good('a pool', $pool);
good('all of a pool', 'mchost_postgres main { conninfo "host=127.0.0.1,127.0.0.1 port=1,2 dbname=x"; connections 2; pipeline 16; queue 0 timeout=500ms; query_timeout 1s; connect_timeout 1s; }');
good('two pools', "$pool mchost_postgres other { conninfo 'dbname=y'; }");
good('a pool defined after its use', '', "location /api/v1/ { mchost_api main; } } $pool server { listen 127.0.0.1:1;");
good('redis by address', 'mchost_redis 127.0.0.1:6379;');
good('redis by socket', 'mchost_redis unix:/tmp/x.sock prefix=mchost: user=nginx password=secret timeout=1s pending=10;');
good('a zone', 'mchost_zone mchost 16m;');
good('all locations', "$pool mchost_redis 127.0.0.1; mchost_zone z 1m;", <<'EOT');
location /api/v1/ { mchost_api main; }
location = /api/v1/ws { mchost_websocket main ping=30s max_message=64k queue=1m; }
location = /healthz { mchost_health; }
location = /readyz { mchost_ready main; }
location = /metrics { mchost_metrics; }
EOT
good('variables in a log', "$pool log_format x '\$mchost_tenant \$mchost_key_id \$mchost_role \$mchost_route \$mchost_pg_time \$mchost_pg_queue_time \$mchost_request_id';"
    . ' access_log logs/x x; ' =~ s{logs/x}{/dev/null}r);

my $block = sub { "mchost_postgres main { conninfo 'dbname=x'; $_[0] }" };

bad('a pool without a name', qr/invalid number of arguments in "mchost_postgres" directive/, 'mchost_postgres { }');
bad('a pool without conninfo', qr/no "conninfo" in mchost_postgres "main"/, 'mchost_postgres main { }');
bad('a pool that is no block', qr/directive "mchost_postgres" has no opening "\{"/, 'mchost_postgres main;');
bad('two pools of one name', qr/duplicate mchost_postgres "main"/, "$pool $pool");
bad('conninfo that is none', qr/invalid conninfo in mchost_postgres "main"/, 'mchost_postgres main { conninfo "nonsense"; }');
bad('conninfo with an unknown keyword', qr/invalid conninfo.*nonsense/, 'mchost_postgres main { conninfo "nonsense=1"; }');
bad('conninfo twice', qr/"conninfo" directive is duplicate/, $block->('conninfo "dbname=y";'));
bad('no connections', qr/value must be between 1 and 128/, $block->('connections 0;'));
bad('connections that are no number', qr/invalid number/, $block->('connections many;'));
bad('too many connections', qr/value must be between 1 and 128/, $block->('connections 100000;'));
bad('no pipeline', qr/value must be between 1 and 256/, $block->('pipeline 0;'));
bad('queue that is no number', qr/"queue" directive invalid number/, $block->('queue deep;'));
bad('queue with an unknown parameter', qr/invalid parameter "time=2s"/, $block->('queue 10 time=2s;'));
bad('queue with a wrong time', qr/invalid parameter "timeout=soon"/, $block->('queue 10 timeout=soon;'));
bad('query_timeout that is no time', qr/"query_timeout" directive invalid value/, $block->('query_timeout soon;'));
bad('an unknown directive in a pool', qr/unknown directive "depth"|"depth" directive is not allowed/, $block->('depth 4;'));
bad('a directive of nginx in a pool', qr/"listen" directive is not allowed here/, $block->('listen 80;'));
bad('a directive of a pool outside', qr/"conninfo" directive is not allowed here/, 'conninfo "dbname=x";');
bad('a pool in a server', qr/"mchost_postgres" directive is not allowed here/, '', $pool);

bad('redis without an address', qr/invalid number of arguments in "mchost_redis"/, 'mchost_redis;');
bad('redis twice', qr/"mchost_redis" directive is duplicate/, 'mchost_redis 127.0.0.1; mchost_redis 127.0.0.1;');
bad('redis with a wrong port', qr/invalid port in mchost_redis "127.0.0.1:99999"/, 'mchost_redis 127.0.0.1:99999;');
bad('redis with an unknown parameter', qr/invalid parameter "db=1"/, 'mchost_redis 127.0.0.1 db=1;');
bad('redis with a wrong time', qr/invalid parameter "timeout=x"/, 'mchost_redis 127.0.0.1 timeout=x;');
bad('redis with an empty password', qr/empty password/, 'mchost_redis 127.0.0.1 password=;');
bad('redis with a user only', qr/user without a password/, 'mchost_redis 127.0.0.1 user=x;');

bad('a zone without a size', qr/invalid number of arguments in "mchost_zone"/, 'mchost_zone mchost;');
bad('a zone whose size is none', qr/invalid zone size "large"/, 'mchost_zone mchost large;');
bad('a zone that is too small', qr/zone "mchost" is too small/, 'mchost_zone mchost 4k;');
bad('two zones', qr/"mchost_zone" directive is duplicate/, 'mchost_zone a 1m; mchost_zone b 1m;');

bad('an API without a pool', qr/invalid number of arguments in "mchost_api"/, $pool, 'location /api/v1/ { mchost_api; }');
bad('an API with an unknown pool', qr/unknown mchost_postgres "other" in .*nginx\.conf:\d+/, $pool, 'location /api/v1/ { mchost_api other; }');
bad('an API at the level of http', qr/"mchost_api" directive is not allowed here/, 'mchost_api main;');
bad('an API in a regex location', qr/"mchost_api" directive is not allowed in a location of a regular expression/, $pool, 'location ~ /api/ { mchost_api main; }');
bad('two handlers in a location', qr/"mchost_health" directive is not allowed beside another handler/, $pool, 'location /api/v1/ { mchost_api main; mchost_health; }');
bad('a WebSocket with an unknown parameter', qr/invalid parameter "pong=1s"/, $pool, 'location = /ws { mchost_websocket main pong=1s; }');
bad('a WebSocket with a wrong time', qr/invalid parameter "ping=x"/, $pool, 'location = /ws { mchost_websocket main ping=x; }');
bad('a WebSocket with a wrong size', qr/invalid parameter "max_message=big"/, $pool, 'location = /ws { mchost_websocket main max_message=big; }');
bad('a WebSocket with a tiny queue', qr/invalid parameter "queue=1"/, $pool, 'location = /ws { mchost_websocket main queue=1; }');
bad('a health location with an argument', qr/invalid number of arguments in "mchost_health"/, $pool, 'location = /h { mchost_health main; }');
bad('a ready location without a pool', qr/invalid number of arguments in "mchost_ready"/, $pool, 'location = /r { mchost_ready; }');
bad('a metrics location with an argument', qr/invalid number of arguments in "mchost_metrics"/, $pool, 'location = /m { mchost_metrics main; }');

done_testing;
