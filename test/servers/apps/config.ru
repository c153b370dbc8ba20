# For every Rack server.
sleep ENV.fetch('LOAD_SECONDS', '0').to_f
served = 0
body = ('@VERSION@ ' * 3000)[0, 20_000]
run lambda { |env|
  served += 1
  if env['PATH_INFO'] == '/slow'
    sleep 0.5
  elsif (served % 20).zero?
    sleep 0.03
  end
  [200, { 'Content-Type' => 'text/plain', 'Content-Length' => body.bytesize.to_s }, [body]]
}
